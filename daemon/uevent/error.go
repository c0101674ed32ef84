package uevent

import (
	"errors"
	"fmt"
)

// What can be wrong with a message, for [errors.Is].
var (
	// ErrMalformed: it is not what the kernel writes.
	ErrMalformed = errors.New("malformed")
	// ErrForeign: somebody else than the kernel sent it.
	ErrForeign = errors.New("not from the kernel")
)

// A MessageError says what was wrong with one message. It is the message's
// fault alone: the next one can be read.
type MessageError struct {
	Err   error  // ErrMalformed or ErrForeign
	Says  string // what exactly
	Start string // how the message begins, at most 64 bytes
}

var _ error = (*MessageError)(nil)

// Error names the beginning of the message and what was wrong with it.
func (e *MessageError) Error() string {
	return fmt.Sprintf("uevent %q: %v: %s", e.Start, e.Err, e.Says)
}

// Unwrap returns ErrMalformed or ErrForeign.
func (e *MessageError) Unwrap() error { return e.Err }

func malformed(message []byte, says string) error {
	return &MessageError{Err: ErrMalformed, Says: says, Start: start(message)}
}

// start copies so much of a message as a log line has room for.
func start(message []byte) string {
	return string(message[:min(len(message), 64)])
}
