package control

import (
	"errors"
	"fmt"
	"os"
)

// The names of errors. Those of org.varlink.service are Varlink's and
// systemd's own.
const (
	NameNotFound             = Interface + ".NotFound" // of Why: nothing is known of the subject
	NameBusy                 = Interface + ".Busy"     // no connection is left for this user
	NameFailed               = Interface + ".Failed"   // the daemon could not do it; Detail.Reason says why
	NameInterfaceNotFound    = service + ".InterfaceNotFound"
	NameMethodNotFound       = service + ".MethodNotFound"
	NameMethodNotImplemented = service + ".MethodNotImplemented"
	NameInvalidParameter     = service + ".InvalidParameter"
	NamePermissionDenied     = service + ".PermissionDenied"
	NameExpectedMore         = service + ".ExpectedMore" // Monitor was called without "more"
)

// Error is an error reply, the same on both sides of the socket.
type Error struct {
	Name   string
	Detail Detail
}

var _ error = (*Error)(nil)

// Detail is what an error reply carries: each error fills in what it is about.
type Detail struct {
	Interface string `json:"interface,omitempty"`
	Method    string `json:"method,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	Subject   string `json:"subject,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

// NotFound is the answer to [WhyRequest] when nothing is known of subject.
func NotFound(subject string) *Error {
	return &Error{Name: NameNotFound, Detail: Detail{Subject: subject}}
}

func methodNotFound(method string) *Error {
	return &Error{Name: NameMethodNotFound, Detail: Detail{Method: method}}
}

func invalidParameter(name string) *Error {
	return &Error{Name: NameInvalidParameter, Detail: Detail{Parameter: name}}
}

// Error says it in words, with the cure where there is one.
func (e *Error) Error() string {
	d := e.Detail
	switch e.Name {
	case NameNotFound:
		return fmt.Sprintf("nothing is known of %q; kmodctl devices and kmodctl modules list what is", d.Subject)
	case NameBusy:
		return "all connections of this user are taken; end a program that uses them"
	case NameFailed:
		return d.Reason
	case NameInterfaceNotFound:
		return fmt.Sprintf("there is no interface %q", d.Interface)
	case NameMethodNotFound:
		return fmt.Sprintf("there is no method %q; is the daemon older than this program?", d.Method)
	case NameMethodNotImplemented:
		return fmt.Sprintf("method %q is not implemented", d.Method)
	case NameInvalidParameter:
		return fmt.Sprintf("parameter %q is not valid%s", d.Parameter, because(d.Reason))
	case NamePermissionDenied:
		return "permission denied; this is for root"
	case NameExpectedMore:
		return fmt.Sprintf("method %q streams; call it with \"more\"", d.Method)
	}
	return e.Name
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

// Is makes a refused request [os.ErrPermission] and an unknown subject
// [os.ErrNotExist], so that a caller need not know Varlink's names.
func (e *Error) Is(target error) bool {
	switch target {
	case os.ErrNotExist:
		return e.Name == NameNotFound
	case os.ErrPermission:
		return e.Name == NamePermissionDenied
	}
	return false
}

// replyError turns a handler's error into what the client is sent.
func replyError(method string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if errors.Is(err, errors.ErrUnsupported) {
		return &Error{Name: NameMethodNotImplemented, Detail: Detail{Method: method}}
	}
	return &Error{Name: NameFailed, Detail: Detail{Reason: err.Error()}}
}
