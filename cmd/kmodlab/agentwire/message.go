package agentwire

import "time"

// An Op is what a request asks for.
type Op string

// The operations of the agent.
const (
	Run      Op = "run"      // run Argv with the body as its input; the result is its exit code
	Until    Op = "until"    // run Argv again and again until it succeeds; the output is the last run's
	Start    Op = "start"    // run Argv in the background as Name, its output kept in LogFile(Name)
	Signal   Op = "signal"   // send Signal to the background command Name
	Wait     Op = "wait"     // wait for the end of the background command Name; the result is its exit code
	Write    Op = "write"    // write the body to Path at Offset
	Read     Op = "read"     // stream the file Path; if Follow, wait for it and go on with what is added
	Kmsg     Op = "kmsg"     // stream the kernel's log; on and on, if Follow
	Clock    Op = "clock"    // set the guest's wall clock to Time
	Cancel   Op = "cancel"   // end the request number Target; never answered
	PowerOff Op = "poweroff" // end the guest

	// SwitchRoot makes what is mounted at /newroot the root of process 1 and of
	// the agent.
	SwitchRoot Op = "switch root"
)

// A Request is the header of a frame to the agent. Which fields mean something
// is said at the operations.
type Request struct {
	ID      uint64        `json:"id"`
	Op      Op            `json:"op"`
	Argv    []string      `json:"argv,omitempty"`
	UID     uint32        `json:"uid,omitempty"`     // Run, Until, Start: user and group to run as
	Fail    bool          `json:"fail,omitempty"`    // Until: until it fails
	Timeout time.Duration `json:"timeout,omitempty"` // Until: how long to go on
	Name    string        `json:"name,omitempty"`
	Signal  int           `json:"signal,omitempty"`
	Path    string        `json:"path,omitempty"`
	Mode    uint32        `json:"mode,omitempty"`   // Write: permission bits of a new file
	Offset  int64         `json:"offset,omitempty"` // Write: 0 empties the file first
	Follow  bool          `json:"follow,omitempty"`
	Time    time.Time     `json:"time,omitzero"`
	Target  uint64        `json:"target,omitempty"`
}

// A Stream says which output the body of a reply belongs to.
type Stream int

// The streams of a reply.
const (
	None   Stream = iota // no output: the last reply
	Stdout               // also the content of a file or of the kernel's log
	Stderr
)

// Ready is the number of the one reply that nobody asked for: the agent's
// first, when the guest is ready for requests.
const Ready uint64 = 0

// A Reply is the header of a frame from the agent.
type Reply struct {
	ID     uint64 `json:"id"`
	Stream Stream `json:"stream,omitempty"`
	Exit   int    `json:"exit,omitempty"`  // exit code; 128+n if signal n ended it
	PID    int    `json:"pid,omitempty"`   // Start
	Error  string `json:"error,omitempty"` // why the request could not be done
}

// LogFile is where the agent keeps the output of a background command, in the
// guest.
func LogFile(name string) string { return "/run/lab/" + name + ".log" }
