package depmod

import "fmt"

// A Level is how much a message matters. The numbers are those of syslog(3).
type Level int

// The levels.
const (
	Error   Level = 3 // something is left out of the tables
	Warning Level = 4
	Info    Level = 6
)

// A Message says what was seen on the way, in one line that names the file.
type Message struct {
	Level Level
	Says  string
}

func (m Message) String() string { return m.Says }

// A Listener is told of what goes on. Each of the functions may be nil. They
// are called one at a time.
type Listener struct {
	Say func(Message)
	// Need is told of the first symbol that a module needs of another one. path and
	// of are the files.
	Need func(path, symbol, of string)
	// Read is told how many modules of how many have been read.
	Read func(done, all int)
}

func (l Listener) say(level Level, format string, args ...any) {
	if l.Say != nil {
		l.Say(Message{level, fmt.Sprintf(format, args...)})
	}
}
