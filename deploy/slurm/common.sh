# shellcheck shell=bash disable=SC2034
# Functions of both batch scripts. LONGSHOT_FOLDER/cluster holds the etcd:// URL while the run lasts: workers wait for
# it, start again when it changes, and end when it is gone.

cluster_file=$LONGSHOT_FOLDER/cluster
token_file=$LONGSHOT_FOLDER/token
stopping='' child=''

say() { echo "$(date +%FT%T) $*"; }

# The address at which the other nodes reach this one. A node's own /etc/hosts may give its name a loopback address.
node_address() {
  local name address
  name=$(scontrol show node --oneliner "$SLURMD_NODENAME" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
  address=$(getent ahostsv4 "${name:-$SLURMD_NODENAME}" | awk 'NR == 1 { print $1 }')
  case "$address" in '' | 127.*) address=$(hostname -I | awk '{ print $1 }') ;; esac
  [ -n "$address" ] || { say "cannot find the address of $SLURMD_NODENAME"; return 1; }
  echo "$address"
}

# Asks the child to end.
end_child() { kill "$child" 2>/dev/null; }

# stop HOW: the traps. scancel and preemption send TERM, to all processes of the job; USR1 comes some time before the
# time limit, to the script alone.
stop() {
  [ -n "$stopping" ] || stopping=$1
  if [ -n "$child" ]; then end_child; fi
}
trap 'stop cancelled' TERM INT
trap 'stop requeue' USR1

# Waits for the child and sets `code`. A trap ends `wait` early, so it is repeated while the child runs.
wait_for_child() {
  code=0
  if [ -n "$stopping" ]; then end_child; fi  # the signal came before the child
  wait "$child" || code=$?
  while kill -0 "$child" 2>/dev/null; do
    code=0
    wait "$child" || code=$?
  done
  child=''
}

# Whether Slurm will start this job again, because it was requeued or preempted. Its count of restarts then exceeds the
# one with which this start began.
will_return() {
  local restarts
  restarts=$(scontrol show job "$SLURM_JOB_ID" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p')
  [ "${restarts:-0}" -gt "${SLURM_RESTART_COUNT:-0}" ]
}

requeue() {
  say "the time limit is near: back into the queue"
  scontrol requeue "$SLURM_JOB_ID"
}
