// Package decided puts what package rules decided into the words of the control
// socket, for the daemon that answers there and for kmodctl where it decides by
// itself. Package control knows no rules, so that clients stay thin.
package decided

import (
	"github.com/kmodd/kmodd/daemon/control"
	"github.com/kmodd/kmodd/rules"
)

// Reasons copies reasons: the result shares nothing but strings with rs, and is
// never nil.
func Reasons(rs []rules.Reason) []control.Reason {
	out := make([]control.Reason, len(rs))
	for i, r := range rs {
		out[i] = control.Reason(r)
	}
	return out
}

// Refusals copies refusals in the same way.
func Refusals(rs []rules.Refusal) []control.Refusal {
	out := make([]control.Refusal, len(rs))
	for i, r := range rs {
		out[i] = control.Refusal{Module: r.Module, For: r.For, Because: Reasons(r.Because), Manual: r.Manual}
	}
	return out
}
