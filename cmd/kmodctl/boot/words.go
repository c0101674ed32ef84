package boot

import (
	"fmt"
	"strings"
	"time"
)

// Seconds is a time since the kernel's start as a person reads it.
func Seconds(t time.Duration) string { return fmt.Sprintf("%.3f s", t.Seconds()) }

// Span is a length of time in three digits.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(-d)
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 1000*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// Says tells in words what a link is.
func (l Link) Says() string {
	switch l.Kind {
	case Kernel:
		return "the kernel, and what ran before kmodd"
	case Tables:
		return "kmodd read module tables and configuration"
	case Scan:
		return "sysfs was scanned"
	case Wanting:
		return l.Load.Name + " was wanted"
	case Coming:
		return l.Load.Name + " was loaded"
	case Probing:
		return l.Device.Driver + " took " + l.Device.Named()
	}
	if l.Load != nil {
		return l.Device.Named() + " appeared, which " + l.Load.Name + " has found"
	}
	return l.Device.Named() + " appeared"
}

// Parts says what the time of a load went into.
func (l Link) Parts() string {
	var parts []string
	if l.Waited > hardly {
		says := "waited " + Span(l.Waited) + " for its turn"
		if l.Behind != "" {
			says += " behind " + l.Behind
		}
		parts = append(parts, says)
	}
	if l.Reading > hardly {
		parts = append(parts, "file read in "+Span(l.Reading))
	}
	return strings.Join(append(parts, "init "+Span(l.Init)), ", ")
}
