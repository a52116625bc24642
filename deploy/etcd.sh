# shellcheck shell=bash
# An etcd of one member beside a coordinator, for launchers that are not given one.

etcd=''  # its process id

# etcd_is_healthy ADDRESS PORT
etcd_is_healthy() {
  timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2 && printf 'GET /health HTTP/1.0\r\n\r\n' >&3 && cat <&3" 2>/dev/null |
    grep -q '"health":"true"'
}

# try_etcd ADDRESS PORT FOLDER: starts it, and is true once it is healthy. It gives up after a minute or when `stopping`
# is set.
try_etcd() {
  local client=http://$1:$2 peer=http://127.0.0.1:$(($2 + 1)) deadline=$((SECONDS + 60))
  # A Ctrl-C is for the coordinator, which needs etcd until it has ended.
  setsid etcd --name default --data-dir "$3/etcd" --listen-client-urls "$client" --advertise-client-urls "$client" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" \
    --auto-compaction-mode revision --auto-compaction-retention 1000 --snapshot-count 5000 >>"$3/etcd.log" 2>&1 &
  etcd=$!
  while [ $SECONDS -lt $deadline ] && [ -z "$stopping" ] && kill -0 "$etcd" 2>/dev/null; do
    if etcd_is_healthy "$1" "$2"; then return 0; fi
    sleep 0.2
  done
  stop_etcd
  return 1
}

stop_etcd() {
  if [ -n "$etcd" ]; then
    kill "$etcd" 2>/dev/null
    wait "$etcd"
  fi
  etcd=''
}

# start_etcd ADDRESS FIRST_PORT FOLDER NAME: exports LONGSHOT_CLUSTER, or is false after a message. Its data are in
# FOLDER, so that the next coordinator sees the epochs of this one. Another run may have a port, so several are tried.
start_etcd() {
  local port
  command -v etcd >/dev/null ||
    { echo "there is no etcd here: install it (Debian: etcd-server), or set LONGSHOT_CLUSTER" >&2; return 1; }
  for port in "$2" $(($2 + 20)) $(($2 + 40)); do
    [ -z "$stopping" ] || return 1
    if try_etcd "$1" "$port" "$3"; then
      export LONGSHOT_CLUSTER=etcd://$1:$port/$4
      return 0
    fi
  done
  echo "etcd does not start; see $3/etcd.log" >&2
  return 1
}
