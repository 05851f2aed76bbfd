#!/usr/bin/env bash
# Create or update every secret in the cluster from a local file: one Kubernetes Secret each, named as Evergreen reads them.
# NAME_PREVIOUS, the value that is being replaced, is a second key of NAME's Secret, so it is mounted wherever NAME is.
#   deploy/secrets.sh [--dry-run|--local] [FILE]     FILE: deploy/mine/secrets.env; --local only fills in the file, and writes a file for each in secrets/ beside it
# No value is printed or passed as an argument, where `ps` would show it. Evergreen's own secrets are generated if empty.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"

DRY_RUN='' LOCAL=''
case "${1:-}" in
  --dry-run) DRY_RUN=yes; shift ;;
  --local) LOCAL=yes; shift ;;
esac
file="${1:-$here/mine/secrets.env}"
own=(REDIS_PASSWORD INTERNAL_TOKEN UNSUBSCRIBE_KEY OPERATOR_TOKEN CONSOLE_PASSWORD CHALLENGE_KEY CALCOM_WEBHOOK_SECRET CALENDLY_SIGNING_KEY)

[[ -f $file ]] || stop "there is no $file." "cp deploy/secrets.example.env $file, and fill it in."
[[ -n $LOCAL ]] || need kubectl "https://kubernetes.io/docs/tasks/tools/ (k3s has it: k3s kubectl)"
chmod 600 "$file"

made_up() { head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'; }

# put NAME VALUE: replaces the empty value in the file.
put() {
  local line written="$file.new"
  (
    umask 077
    while IFS= read -r line || [[ -n $line ]]; do
      if [[ $line == "$1=" ]]; then printf '%s=%s\n' "$1" "$2"; else printf '%s\n' "$line"; fi
    done < "$file" > "$written"
  )
  grep -q "^$1=" "$written" || printf '%s=%s\n' "$1" "$2" >> "$written"
  mv "$written" "$file"
}

for name in "${own[@]}"; do
  [[ -z $(value "$file" "$name") ]] || continue
  say "Generating $name."
  [[ -n $DRY_RUN ]] || put "$name" "$(made_up)"
done
[[ -n $(value "$file" RESEND_API_KEY) ]] || stop "RESEND_API_KEY is empty in $file." "Create one that can send at https://resend.com/api-keys."
case "$(value "$file" RESEND_API_KEY)" in re_*) ;; *) stop "RESEND_API_KEY does not look like a Resend key." "It begins with re_; copy it again, without quotes." ;; esac

# For compose: a container sees only the files that are mounted into it, and on this machine only the folder's owner does.
if [[ -n $LOCAL ]]; then
  folder="$(dirname "$file")/secrets"
  mkdir -p "$folder"
  chmod 700 "$folder"
  while IFS= read -r name; do
    key="$folder/$(tr 'A-Z_' 'a-z-' <<< "$name")"
    value "$file" "$name" > "$key"
    chmod 644 "$key"
  done < <(names "$here/secrets.example.env")
  exit 0
fi

# Until you have Resend's secret, a random one, not written to the file, makes Evergreen refuse every event.
secret() {
  local found
  found="$(value "$file" "$1")"
  if [[ $1 == RESEND_WEBHOOK_SECRET && -z $found ]]; then found="whsec_$(head -c 24 /dev/urandom | base64)"; fi
  printf '%s' "$found"
}

namespaces=(evergreen)
if kubectl get namespace openfaas-fn > /dev/null 2>&1; then namespaces+=(openfaas-fn); fi
for namespace in "${namespaces[@]}"; do
  while IFS= read -r name; do
    key="$(tr 'A-Z_' 'a-z-' <<< "$name")"
    say "Secret $namespace/$key$([[ -n $(value "$file" "$name") ]] || echo ' (empty)')"
    [[ -z $DRY_RUN ]] || continue
    secret "$name" | kubectl --namespace "$namespace" create secret generic "$key" --from-file="$key=/dev/stdin" \
      --from-file="$key-previous"=<(value "$file" "${name}_PREVIOUS") --dry-run=client -o yaml |
      kubectl apply --server-side --force-conflicts --field-manager=evergreen -f - > /dev/null ||
      stop "the secret $key could not be created in $namespace." "See the message above; the namespace must exist, and you need permission to write secrets there."
  done < <(names "$here/secrets.example.env")
done
say "After a secret changes, restart what reads it: kubectl -n evergreen rollout restart deployment,statefulset"
