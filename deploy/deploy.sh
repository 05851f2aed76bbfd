#!/usr/bin/env bash
# Deploy or update Evergreen. Run it as often as you like; it stops at the first failure and says how to fix it.
#   deploy/deploy.sh init plain|knative|openfaas   create deploy/mine/ for your settings and secrets
#   deploy/deploy.sh [--dry-run]                   deploy with the settings in deploy/mine/
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"
mine="${EVERGREEN_MINE:-$here/mine}"
settings="$mine/settings.env"

init() {
  [[ -f $here/examples/${1:-}.yaml ]] || stop "\"${1:-}\" is not a platform." "deploy/deploy.sh init plain (or knative, or openfaas)"
  mkdir -p "$mine"
  copy "$here/examples/$1.yaml" "$mine/kustomization.yaml"
  copy "$here/settings.example.env" "$settings"
  (umask 077; copy "$here/secrets.example.env" "$mine/secrets.env")
  say "Now fill in $settings and $mine/secrets.env, then run deploy/deploy.sh --dry-run."
}

copy() {
  if [[ -e $2 ]]; then say "Kept: $2"; else cp "$1" "$2"; say "Created: $2"; fi
}

check_files() {
  local file name
  for file in "$mine/kustomization.yaml" "$settings" "$mine/secrets.env"; do
    [[ -f $file ]] || stop "there is no $file." "deploy/deploy.sh init plain (or knative, or openfaas)"
  done
  platform="$(sed -n 's|^ *- \.\./overlays/\([a-z]*\).*|\1|p' "$mine/kustomization.yaml")"
  [[ -d $here/overlays/$platform && -n $platform ]] || stop "$mine/kustomization.yaml names no platform." "Its resources must include ../overlays/plain, knative or openfaas."
  for name in EVERGREEN_IMAGE PUBLIC_URL ACME_EMAIL BUSINESS_NAME POSTAL_ADDRESS RESEND_FROM_EMAIL BOOKING_URL; do
    [[ -n $(value "$settings" "$name") ]] || stop "$name is empty in $settings." "Fill it in; the comment above it says what it is."
  done
  case "$(value "$settings" PUBLIC_URL)" in
    https://*/) stop "PUBLIC_URL ends with a slash." "Remove the slash." ;;
    https://?*) ;;
    *) stop "PUBLIC_URL does not begin with https://." "Write https:// and the host, such as https://evergreen.example.org." ;;
  esac
  if [[ $platform == knative && ,$(value "$settings" TRUSTED_PROXIES), != *,127.0.0.1,* ]]; then
    stop "TRUSTED_PROXIES in $settings lacks 127.0.0.1, so Knative's queue-proxy would count as every visitor." "Write TRUSTED_PROXIES=10.42.0.0/16,127.0.0.1,::1 (the first is your pods' network)."
  fi
  [[ -n $(value "$settings" CORS_ORIGINS) ]] || say "Note: CORS_ORIGINS is empty, so no web page may post a form."
  [[ $(value "$settings" TESTING_MODE) != true ]] || say "Note: TESTING_MODE is on: minutes instead of days."
}

check_tools() {
  need kubectl "https://kubernetes.io/docs/tasks/tools/ (k3s has it: alias kubectl='k3s kubectl')"
  need curl "sudo apt-get install curl"
  [[ $platform != openfaas ]] || need faas-cli "https://docs.openfaas.com/cli/install/"
  kubectl kustomize "$mine" > /dev/null || stop "kustomize cannot build $mine." "See the message above, and check $mine/kustomization.yaml."
}

# Whether anyone can pull the image: asks its registry without credentials. https://distribution.github.io/distribution/spec/auth/token/
image_is_public() {
  local image="$1" registry path tag url challenge realm token
  registry="${image%%/*}"; path="${image#*/}"
  if [[ $registry == "$image" || $registry != *[.:]* ]]; then registry="registry-1.docker.io"; path="$image"; fi
  if [[ $registry == docker.io ]]; then registry="registry-1.docker.io"; fi
  if [[ $registry == registry-1.docker.io && $path != */* ]]; then path="library/$path"; fi
  tag=latest
  if [[ $path == *@* ]]; then tag="${path#*@}"; path="${path%%@*}"; elif [[ $path == *:* ]]; then tag="${path##*:}"; path="${path%:*}"; fi
  url="${EVERGREEN_REGISTRY_SCHEME:-https}://$registry/v2/$path/manifests/$tag"
  challenge="$(curl -sS --max-time 15 -o /dev/null -D - "$url" | tr -d '\r' | sed -n 's/^[Ww][Ww][Ww]-[Aa]uthenticate: *Bearer *//p')" || return 1
  token=
  if [[ -n $challenge ]]; then
    realm="$(sed -n 's/.*realm="\([^"]*\)".*/\1/p' <<< "$challenge")"
    token="$(curl -fsS --max-time 15 -G "$realm" --data-urlencode "scope=repository:$path:pull" \
      --data-urlencode "service=$(sed -n 's/.*service="\([^"]*\)".*/\1/p' <<< "$challenge")" 2> /dev/null |
      sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p')" || return 1
  fi
  curl -fsS --max-time 15 -o /dev/null ${token:+-H "Authorization: Bearer $token"} -H "Accept: application/vnd.oci.image.index.v1+json" \
    -H "Accept: application/vnd.oci.image.manifest.v1+json" -H "Accept: application/vnd.docker.distribution.manifest.list.v2+json" \
    -H "Accept: application/vnd.docker.distribution.manifest.v2+json" "$url" 2> /dev/null
}

check_image() {
  local image
  image="$(value "$settings" EVERGREEN_IMAGE)"
  [[ $image != ghcr.io/example/* ]] || stop "EVERGREEN_IMAGE is still the example." "docker build -t ghcr.io/YOU/evergreen:0.1.0 . && docker push ghcr.io/YOU/evergreen:0.1.0"
  if image_is_public "$image"; then
    say "Image $image exists and is public."
  elif [[ $platform == openfaas ]]; then
    stop "$image is missing or private, and OpenFaaS Community Edition pulls public images only." \
      "Push it (docker push $image) and make the package public in your registry's settings."
  else
    say "Note: $image is missing or private. A private image needs an imagePullSecret in the namespace's default service account, or"
    say "      k3s must already have it (docker save $image | sudo k3s ctr images import -)."
  fi
}

check_cluster() {
  local kind fix
  kubectl version > /dev/null 2>&1 || stop "the cluster does not answer." "k3s: export KUBECONFIG=/etc/rancher/k3s/k3s.yaml, then: systemctl status k3s"
  while IFS='|' read -r kind fix; do
    [[ -z $kind ]] || kubectl get crd "$kind" > /dev/null 2>&1 || stop "the cluster does not know $kind." "$fix"
  done << EOF
ingressroutes.traefik.io|k3s includes Traefik; reinstall it without --disable traefik.
certificates.cert-manager.io|Install cert-manager: https://cert-manager.io/docs/installation/kubectl/
$([[ $platform != knative ]] || echo "services.serving.knative.dev|Install Knative Serving and Kourier: docs/deploy.md.")
$(! grep -q '^ *- \.\./components/keda' "$mine/kustomization.yaml" || echo "scaledobjects.keda.sh|Install KEDA: https://keda.sh/docs/latest/deploy/")
$(! grep -q '^ *- \.\./components/monitoring' "$mine/kustomization.yaml" || echo "servicemonitors.monitoring.coreos.com|Install kube-prometheus-stack, or remove ../components/monitoring: docs/metrics.md.")
EOF
  [[ $platform != openfaas ]] || kubectl get namespace openfaas-fn > /dev/null 2>&1 || stop "there is no namespace openfaas-fn." "Install OpenFaaS: docs/deploy.md."
}

apply() {
  say "Namespace and secrets"
  run kubectl apply -f "$here/base/namespace.yaml"
  "$here/secrets.sh" ${DRY_RUN:+--dry-run} "$mine/secrets.env"
  say "Everything for $platform"
  run kubectl apply -k "$mine" || stop "Kubernetes rejected a file." "See the message above."
  [[ $platform != openfaas ]] || deploy_functions
}

deploy_functions() {
  local name
  for name in $(names "$settings"); do export "$name=$(value "$settings" "$name")"; done
  say "Functions in stack.yml"
  run faas-cli deploy -f "$here/../stack.yml" ||
    stop "faas-cli could not deploy." "Log in (faas-cli login) and forward the gateway: kubectl -n openfaas port-forward svc/gateway 8080:8080"
}

wait_until_ready() {
  local what name
  say "Waiting until everything is ready"
  for what in $(kubectl -n evergreen get statefulset,deployment -l app.kubernetes.io/part-of=evergreen -o name); do
    ready evergreen "$what"
  done
  if [[ $platform == openfaas ]]; then
    while IFS= read -r name; do ready openfaas-fn "deployment/$name" < /dev/null; done < <(sed -n '/^functions:/,$s/^  \([a-z-]*\):$/\1/p' "$here/../stack.yml")
  fi
  [[ $platform != knative ]] || kubectl -n evergreen wait --for=condition=Ready --timeout=180s ksvc --all ||
    stop "a function does not become ready." "kubectl -n evergreen get ksvc, then: kubectl -n evergreen logs -l serving.knative.dev/service=NAME -c evergreen"
}

# ready NAMESPACE WHAT: waits until it is ready; if it is not in time, shows its last log lines.
ready() {
  kubectl -n "$1" rollout status "$2" --timeout=180s && return
  kubectl -n "$1" logs "$2" --tail=5 2> /dev/null || kubectl -n "$1" get events --sort-by=.lastTimestamp | tail -5
  stop "$2 does not become ready." "The lines above say why, and name a wrong setting or secret. To go back to the previous image: deploy/rollback.sh"
}

DRY_RUN=
case "${1:-}" in
  init) init "${2:-}"; exit ;;
  --dry-run) DRY_RUN=yes; say "Dry run: nothing is changed." ;;
  "") ;;
  *) stop "\"$1\" is not an option." "deploy/deploy.sh [--dry-run], or deploy/deploy.sh init plain|knative|openfaas" ;;
esac
check_files
check_tools
check_image
check_cluster
apply
[[ -z $DRY_RUN ]] || { say "Nothing was changed."; exit; }
wait_until_ready
printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(value "$settings" EVERGREEN_IMAGE)" >> "$mine/images.log"
say "Deployed. Try it: deploy/smoke.sh"
