package control

import (
	"context"
	"encoding/json"
	"slices"
)

// The methods of the interface, as a call names them.
const (
	MethodStatus  = Interface + ".Status"
	MethodMetrics = Interface + ".Metrics"
	MethodBoot    = Interface + ".Boot"
	MethodDevices = Interface + ".Devices"
	MethodModules = Interface + ".Modules"
	MethodWhy     = Interface + ".Why"
	MethodMonitor = Interface + ".Monitor"
	MethodRescan  = Interface + ".Rescan"
	MethodReload  = Interface + ".Reload"
	MethodSettle  = Interface + ".Settle"
	MethodPin     = Interface + ".Pin"
	MethodUnpin   = Interface + ".Unpin"
	MethodRelease = Interface + ".Release"
	MethodWake    = Interface + ".Wake"
)

// A Handler answers requests: it is the daemon, as this package sees it.
//
// Ask is called from several goroutines at once, each waiting for its answer,
// and gives up when its context ends. The answer belongs to the caller and
// shares nothing that still changes. An [Error] reaches the client as it is,
// [errors.ErrUnsupported] as MethodNotImplemented, and any other error as
// io.kmodd.Failed with its text.
type Handler interface {
	Ask(context.Context, Request) (any, error)
}

// A Request is one of the types below. Each names the type of its answer.
type Request interface {
	// changes says whether it is for root only.
	changes() bool
}

// What the daemon is asked.
type (
	StatusRequest  struct{} // answered with Status
	MetricsRequest struct{} // answered with Metrics
	BootRequest    struct{} // answered with Boot
	DevicesRequest struct{} // answered with []Device
	ModulesRequest struct{} // answered with []Module

	// WhyRequest asks about a device path (with or without /sys), a module or
	// a modalias. It is answered with Story, or with NotFound.
	WhyRequest struct {
		Subject string `json:"subject"`
	}

	// RescanRequest makes the daemon read sysfs once more. It is answered,
	// with nil, when the scan is over.
	RescanRequest struct{}

	// ReloadRequest makes the daemon read tables and configuration once more.
	// It is answered, with nil, when they are in force.
	ReloadRequest struct{}

	// PinRequest has a module stay though nothing calls for it any more, or with
	// Unpin go again. It is answered with nil, or with NotFound.
	PinRequest struct {
		Module string
		Unpin  bool
	}

	// ReleaseRequest says that something has happened that deferred modules wait
	// for ("boot-complete"), or has a module of that name wait no longer. It is
	// answered with nil, or with NotFound if no module of that name waits.
	ReleaseRequest struct{ Name string }

	// WakeRequest has what sleeps come back that the kernel knows by this alias,
	// such as char-major-81-0. It is answered with Woken when that can be opened,
	// and with an error if it can't within the time that an open() is to take.
	WakeRequest struct{ Name string }

	// SettleRequest is answered, with nil, when nothing is pending: what the
	// kernel had when it was asked has been dealt with, but for loads that take
	// longer than the daemon has patience, and for what needs these. It may take
	// any time.
	SettleRequest struct{}
)

func (StatusRequest) changes() bool  { return false }
func (MetricsRequest) changes() bool { return false }
func (DevicesRequest) changes() bool { return false }
func (ModulesRequest) changes() bool { return false }
func (WhyRequest) changes() bool     { return false }
func (BootRequest) changes() bool    { return false }
func (RescanRequest) changes() bool  { return true }
func (ReloadRequest) changes() bool  { return true }
func (SettleRequest) changes() bool  { return false }
func (PinRequest) changes() bool     { return true }
func (ReleaseRequest) changes() bool { return true }
func (WakeRequest) changes() bool    { return true }

// request turns a call of io.kmodd into what the handler is asked.
func request(c call) (Request, error) {
	switch c.Method {
	case MethodStatus:
		return StatusRequest{}, c.takes()
	case MethodMetrics:
		return MetricsRequest{}, c.takes()
	case MethodBoot:
		return BootRequest{}, c.takes()
	case MethodDevices:
		return DevicesRequest{}, c.takes()
	case MethodModules:
		return ModulesRequest{}, c.takes()
	case MethodRescan:
		return RescanRequest{}, c.takes()
	case MethodReload:
		return ReloadRequest{}, c.takes()
	case MethodPin, MethodUnpin:
		module, err := c.text("module")
		return PinRequest{Module: module, Unpin: c.Method == MethodUnpin}, err
	case MethodRelease:
		name, err := c.text("name")
		return ReleaseRequest{Name: name}, err
	case MethodWake:
		name, err := c.text("name")
		return WakeRequest{Name: name}, err
	case MethodWhy:
		subject, err := c.text("subject")
		return WhyRequest{Subject: subject}, err
	}
	return nil, methodNotFound(c.Method)
}

// A call is a message from a client.
type call struct {
	Method     string          `json:"method"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Oneway     bool            `json:"oneway,omitempty"`
	More       bool            `json:"more,omitempty"`
	Upgrade    bool            `json:"upgrade,omitempty"`
}

// takes reports the first parameter that is not one of names: an unknown
// parameter is a misunderstanding, better said than ignored.
func (c call) takes(names ...string) error {
	parameters, err := c.fields()
	if err != nil {
		return err
	}
	var unknown []string
	for name := range parameters {
		if !slices.Contains(names, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return invalidParameter(slices.Min(unknown))
	}
	return nil
}

// text returns the call's only parameter, a string that is not empty.
func (c call) text(name string) (string, error) {
	if err := c.takes(name); err != nil {
		return "", err
	}
	parameters, err := c.fields()
	if err != nil {
		return "", err
	}
	var value string
	if json.Unmarshal(parameters[name], &value) != nil || value == "" {
		return "", invalidParameter(name)
	}
	return value, nil
}

func (c call) fields() (map[string]json.RawMessage, error) {
	if len(c.Parameters) == 0 {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(c.Parameters, &fields) != nil {
		return nil, invalidParameter("parameters")
	}
	return fields, nil
}
