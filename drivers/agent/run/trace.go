package run

// Record is a command that was run, for a trace.
type Record struct {
	// Host is empty for a command on the front-end.
	Host           string `json:",omitempty"`
	Argv           []string
	Code           int
	Stdout, Stderr string
}

// Trace is told of every command when it has ended, if it is set before the
// first one is run.
var Trace func(Record)

func traced(host string, argv []string, r Result) {
	if Trace != nil {
		Trace(Record{Host: host, Argv: argv, Code: r.Code, Stdout: r.Stdout, Stderr: r.Stderr})
	}
}
