#!/usr/bin/env bash
# Installs what is missing, builds Tocsin and runs it on real input: itself and this machine (node_exporter).
#   ./run.sh [flag of tocsin serve…]         TOCSIN_LISTEN=127.0.0.1:9090 and TOCSIN_DATA=build/run/data by default
# Ctrl-C stops everything that was started here.
set -euo pipefail
cd "$(dirname "$0")"

packaging/install-packages.sh packaging/build-packages.txt <(printf 'curl\nprometheus-node-exporter\n')
if [ -x build/node/bin/node ]; then PATH=$PWD/build/node/bin:$PATH; fi
cmake --preset release >/dev/null
cmake --build --preset release

run=${TOCSIN_DATA:-$PWD/build/run/data}
listen=${TOCSIN_LISTEN:-127.0.0.1:9090}
mkdir -p "$run" build/run/config
# The demo's configuration, watching the address that is really used.
cp -R packaging/demo/. build/run/config/
sed "s/127\.0\.0\.1:9090/$listen/" packaging/demo/prometheus.yml >build/run/config/prometheus.yml
started=()
stop() {
  trap - EXIT INT TERM
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap stop EXIT INT TERM

if ! curl -fsS -o /dev/null --max-time 2 http://127.0.0.1:9100/metrics 2>/dev/null; then
  prometheus-node-exporter --web.listen-address=127.0.0.1:9100 >build/run/node_exporter.log 2>&1 &
  started+=($!)
fi

build/release/tocsin serve --config.file=build/run/config/prometheus.yml --storage.tsdb.path="$run" \
  --web.listen-address="$listen" --web.enable-lifecycle --web.enable-admin-api "$@" &
tocsin=$!
started+=("$tocsin")
for _ in $(seq 100); do
  curl -fsS -o /dev/null --max-time 2 "http://$listen/-/ready" 2>/dev/null && break
  if ! kill -0 "$tocsin" 2>/dev/null; then
    echo "run.sh: Tocsin did not start (another address: TOCSIN_LISTEN=127.0.0.1:9190 ./run.sh)" >&2
    exit 1
  fi
  sleep 0.1
done

cat <<EOF

Tocsin runs at  http://$listen/
  a graph       http://$listen/query?g0.expr=sum%20by%20(mode)%20(rate(node_cpu_seconds_total%5B1m%5D))&g0.tab=graph&g0.range_input=15m
  targets       http://$listen/targets
  alerts        http://$listen/alerts      (stop node_exporter and watch NodeExporterDown)
  by curl       curl 'http://$listen/api/v1/query?query=up'
Configuration: build/run/config (made from packaging/demo). Data: $run. Ctrl-C stops everything that this script started.
EOF
wait "$tocsin"
