#!/usr/bin/env bash
# Test a deployment from outside: health, one test enrollment, pause, cancel. It leaves one cancelled enrollment of a test address.
#   deploy/smoke.sh [URL]     URL: PUBLIC_URL of deploy/mine/settings.env; the tokens come from deploy/mine/secrets.env
# The address is Resend's own for tests: email to it is not delivered and does not harm your reputation.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
# shellcheck source=deploy/lib.sh
source "$here/lib.sh"
mine="${EVERGREEN_MINE:-$here/mine}"
url="${1:-$(value "$mine/settings.env" PUBLIC_URL)}"
url="${url%/}"
token="${OPERATOR_TOKEN:-$(value "$mine/secrets.env" OPERATOR_TOKEN)}"
key="${WEBSITE_WEBHOOK_SECRET-$(value "$mine/secrets.env" WEBSITE_WEBHOOK_SECRET 2> /dev/null || true)}"
address="delivered+smoke-$(date +%s)-$$@resend.dev"
[[ -n $token ]] || stop "OPERATOR_TOKEN is not set." "deploy/secrets.sh generates it and writes it into $mine/secrets.env."
need curl "sudo apt-get install curl"
need python3 "sudo apt-get install python3"

# ask METHOD PATH [BODY] [HEADER...]: prints the response, with the status on the last line. Headers go through a file: `ps` shows arguments.
ask() {
  local method="$1" path="$2" body="${3:-}" header
  curl -sS --max-time 25 -X "$method" -w '\n%{http_code}' ${body:+--data-binary "$body"} -K <(
    for header in "${@:4}"; do printf 'header = "%s"\n' "$header"; done
  ) "$url$path" || stop "$url does not answer." "Check DNS, the router's ports 80 and 443, and: kubectl -n evergreen get pods,certificate"
}

status() { tail -n 1 <<< "$1"; }

# expect WANTED ANSWER WHAT FIX
expect() {
  [[ " $1 " == *" $(status "$2") "* ]] || stop "$3: $(status "$2") $(head -c 400 <<< "$2")" "$4"
  say "  ok: $3"
}

# The headers that sign a body: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
signature() {
  KEY="$key" BODY="$1" python3 - << 'EOF'
import base64, hashlib, hmac, os, time
ident, stamp = f"msg_smoke{time.time_ns()}", str(int(time.time()))
key = base64.b64decode(os.environ["KEY"].removeprefix("whsec_"))
signed = hmac.new(key, f"{ident}.{stamp}.{os.environ['BODY']}".encode(), hashlib.sha256).digest()
print(f"webhook-id: {ident}\nwebhook-timestamp: {stamp}\nwebhook-signature: v1,{base64.b64encode(signed).decode()}")
EOF
}

say "Testing $url"
answer="$(ask GET /health)"
expect 200 "$answer" "healthy" "The response gives the reasons; the scheduler's and workers' logs say more: kubectl -n evergreen logs deploy/scheduler"

answer="$(ask POST /webhook/send-email '{}' "Content-Type: application/json")"
expect "404" "$answer" "send-email is not reachable from outside" "The ingress exposes too much: run make manifests and deploy again."

body="{\"email\":\"$address\",\"first_name\":\"Smoke\"}"
proof=("Content-Type: application/json")
if [[ -n $key ]]; then mapfile -t -O 1 proof < <(signature "$body"); else proof+=("Authorization: Bearer $token"); fi
answer="$(ask POST /webhook/postcall-maybe "$body" "${proof[@]}")"
expect "200 202" "$answer" "a test enrollment with $([[ -n $key ]] && echo a signature || echo the token) is accepted" "401: the cluster has a different secret; run deploy/secrets.sh and restart. 503: Valkey is unavailable."

bearer="Authorization: Bearer $token"
answer="$(ask GET "/console/api/enrollments?address=${address/+/%2B}" "" "$bearer")"
expect 200 "$answer" "the console lists it" "401: the cluster has a different OPERATOR_TOKEN; run deploy/secrets.sh and restart."
run_id="$(grep -oE 'postcall-maybe-[0-9a-f]{20}-[0-9]+' <<< "$answer" | head -n 1 || true)"
[[ -n $run_id ]] || stop "the console does not know the enrollment." "See the log of postcall-maybe."

answer="$(ask POST "/console/api/enrollments/$run_id/pause" "" "$bearer")"
expect 200 "$answer" "it can be paused" "409: it changed in the meantime; check it in the console."
answer="$(ask POST "/console/api/enrollments/$run_id/cancel" "" "$bearer")"
expect 200 "$answer" "it can be cancelled" "Cancel $run_id in the console."
grep -q '"cancelled"' <<< "$answer" || stop "the enrollment is not cancelled." "Cancel $run_id in the console."
say "All checks passed. To erase the test address too: kubectl -n evergreen exec deploy/scheduler -- ./evergreen forget $address"
