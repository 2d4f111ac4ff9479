#!/usr/bin/env bash
# Renders the chart in every shape that differs and checks each: Helm's linter, Kubernetes' schemas, and the collector's own
# `validate` for both of its configurations.
#
# Needs helm, kubernetes-validate (from PyPI) and, for the last, otelcol-contrib; OTELCOL names its program.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shapes=(
  ""
  "--set collector.export.auth=headers --set ingress.enabled=true --set ingress.tlsSecret=shop-tls"
  "--set collector.export.auth=oauth2 --set collector.export.oauth2.tokenUrl=https://id.example.com/token --set gatewayUrl=https://cards.example.com --set secrets.databaseCa=ca"
  "--set defaults.autoscaling.enabled=false --set networkPolicy.enabled=false --set image.registry=registry.example.com/shop"
)
helm lint --quiet order-system
for shape in "${shapes[@]}"; do
  # shellcheck disable=SC2086 -- a shape is several words
  helm template shop order-system --kube-version 1.34.0 $shape >"$work/all.yaml"
  kubernetes-validate --strict --quiet "$work/all.yaml"
  for tier in agent gateway; do
    # The text of the ConfigMap's only key, whose lines are indented by four.
    awk -v name="shop-otel-$tier" '
      /^---/ { map = 0; mine = 0; text = 0 } /^kind: ConfigMap/ { map = 1 } map && $0 == "  name: " name { mine = 1 }
      map && mine && /^  config.yaml: \|/ { text = 1; next } text && /^[^ ]/ { text = 0; mine = 0 }
      text { sub(/^    /, ""); print }' "$work/all.yaml" >"$work/$tier.yaml"
    [[ -s $work/$tier.yaml ]] || { echo "no configuration of the $tier was rendered" >&2; exit 1; }
    if [[ -n ${OTELCOL:-} ]]; then
      sed -i "s|/var/lib/otelcol|$work|" "$work/$tier.yaml"
      K8S_NODE_NAME=node OTEL_GATEWAY_HOST=gateway OTLP_AUTHORIZATION=x OTLP_CLIENT_ID=x OTLP_CLIENT_SECRET=x \
        "$OTELCOL" validate --config "$work/$tier.yaml"
    fi
  done
  echo "fine: ${shape:-as it comes}"
done
