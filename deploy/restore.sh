#!/usr/bin/env bash
# Restore a nightly backup of the ledger. It lacks everything since that night: read "Restore" in docs/deploy.md first.
#   deploy/restore.sh                          list the backups
#   deploy/restore.sh evergreen-<date>.rdb     restore one; the scheduler and the workers stay stopped until you start them
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"
need kubectl "https://kubernetes.io/docs/tasks/tools/"
image="$(sed -n 's/^ *image: \(.*valkey.*\)/\1/p' "$here/base/valkey.yaml")"

# in_a_pod COMMAND...: runs it with both volumes mounted.
in_a_pod() {
  local command
  command="$(printf '"%s",' "$@")"
  kubectl -n evergreen run valkey-restore --rm --attach --quiet --restart=Never --image="$image" --overrides="{
    \"spec\": {\"automountServiceAccountToken\": false,
      \"securityContext\": {\"runAsNonRoot\": true, \"runAsUser\": 10001, \"runAsGroup\": 10001, \"fsGroup\": 10001},
      \"containers\": [{\"name\": \"valkey-restore\", \"image\": \"$image\", \"command\": [${command%,}],
        \"volumeMounts\": [{\"name\": \"data\", \"mountPath\": \"/data\"}, {\"name\": \"backup\", \"mountPath\": \"/backup\"},
                           {\"name\": \"tool\", \"mountPath\": \"/tool\"}]}],
      \"volumes\": [{\"name\": \"data\", \"persistentVolumeClaim\": {\"claimName\": \"data-valkey-0\"}},
                    {\"name\": \"backup\", \"persistentVolumeClaim\": {\"claimName\": \"valkey-backup\"}},
                    {\"name\": \"tool\", \"configMap\": {\"name\": \"valkey-restore\"}}]}}"
}

kubectl -n evergreen create configmap valkey-restore --from-file="$here/put-back.sh" --dry-run=client -o yaml | kubectl apply -f - > /dev/null
if [[ -z ${1:-} ]]; then in_a_pod ls -l /backup; exit; fi
[[ $1 =~ ^evergreen-[0-9TZ]+\.rdb$ ]] || stop "\"$1\" is not the name of a backup." "deploy/restore.sh lists them."

say "Stopping everything that sends or writes"
kubectl -n evergreen scale deployment --all --replicas=0
kubectl -n evergreen scale statefulset valkey --replicas=0
kubectl -n evergreen wait --for=delete pod/valkey-0 --timeout=120s || stop "Valkey does not stop." "kubectl -n evergreen describe pod valkey-0"
say "Restoring $1"
in_a_pod sh /tool/put-back.sh "/backup/$1" /data || stop "the backup could not be restored." "The message above says why; the previous data is untouched or in /data/before-*."
kubectl -n evergreen scale statefulset valkey --replicas=1
kubectl -n evergreen rollout status statefulset/valkey --timeout=300s
say "Valkey is running with the data from $1. Nothing is sent yet. Next: \"Restore\" in docs/deploy.md, from \"After you put a copy back\"."
