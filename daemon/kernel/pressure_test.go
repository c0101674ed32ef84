package kernel

import (
	"testing"
	"time"
)

func TestPressureIsHowLongTasksHaveWaitedForAProcessor(t *testing.T) {
	tests := []struct {
		text  string
		want  time.Duration
		known bool
	}{
		{"", 0, false},                          // no such file
		{"-- proc/pressure/cpu --\n", 0, false}, // booted with psi=0, reading says EOPNOTSUPP
		{"-- proc/pressure/cpu --\nsome avg10=0.00 avg60=0.00 avg300=0.00\n", 0, false},
		{"-- proc/pressure/cpu --\nsome avg10=1.53 avg60=0.87 avg300=0.21 total=1157622\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", 1157622 * time.Microsecond, true},
	}
	for _, test := range tests {
		if got, known := tree(t, test.text).Pressure(); got != test.want || known != test.known {
			t.Errorf("%q: %v, %v, want %v, %v", test.text, got, known, test.want, test.known)
		}
	}
}

func TestPriorityComesBackToWhoMayHaveIt(t *testing.T) {
	if !tree(t, full).CanHurry() {
		t.Error("root can't")
	}
}
