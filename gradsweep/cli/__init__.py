"""The command line: thin, and through HTTP like anyone's.

main         the entry point: one line per error, one exit code per outcome
options      what commands share: the service's address, the token, --json
connection   a client, with its errors turned into exit codes
naming       from `latest`, a name or a prefix to a sweep; from NAME/12 to a trial
output       JSON and tables on stdout, everything else on stderr

sweeps, steering, watching     what one does with sweeps
processes, supervisor          up, serve, worker, migrate
starting, doctor, training, demo
"""
