package kernel

import (
	"os"
	"strings"
	"testing"
)

// settable is a module with parameters of all kinds, and one without any.
func settable(t *testing.T) System {
	s := tree(t, "-- sys/module/m/parameters/a --\n1\n-- sys/module/m/parameters/b --\ntwo words\n-- sys/module/m/parameters/hidden --\n2\n"+
		"-- sys/module/m/parameters/fixed --\n3\n-- sys/module/m/parameters/long --\n"+strings.Repeat("x", 4000)+"\n-- sys/module/m/parameters/odd --\n\x00\n"+
		"-- sys/module/m/parameters/z --\n\n-- sys/module/plain/refcnt --\n0\n")
	for name, mode := range map[string]os.FileMode{"hidden": 0o200, "fixed": 0o444} {
		if err := os.Chmod(s.sys("module/m/parameters/"+name), mode); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestSettingsAreWhatRootMayReadAndSet(t *testing.T) {
	s := settable(t)
	for module, want := range map[string]string{"m": "a=1\x00b=two words\x00z=", "plain": "", "absent": ""} {
		if got := s.Settings(module); got != want {
			t.Errorf("%s: %q, want %q", module, got, want)
		}
	}
}

func TestSetWritesWhatIsOtherThanItWas(t *testing.T) {
	s := settable(t)
	settings := s.Settings("m")
	for name, text := range map[string]string{"a": "7\n", "b": "\n"} {
		if err := os.WriteFile(s.sys("module/m/parameters/"+name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set("m", settings); err != nil {
		t.Error(err)
	}
	if got := s.Settings("m"); got != settings {
		t.Errorf("%q, want %q", got, settings)
	}
	// What is as it was is not written, which may have the driver do something.
	if got := read(s.sys("module/m/parameters/z")); got != "\n" {
		t.Errorf("z was written: %q", got)
	}
	err := s.Set("m", "absent=1\x00a=5")
	if err == nil || !strings.Contains(err.Error(), `absent is no longer "1" as somebody had set it: no such file`) {
		t.Errorf("error %v", err)
	}
	if got := read(s.sys("module/m/parameters/a")); got != "5" {
		t.Errorf("a is %q after another one was refused", got)
	}
}

func TestParametersAreShownAsTheyAre(t *testing.T) {
	s := tree(t, "-- sys/module/m/parameters/a --\n1\n-- sys/module/m/parameters/words --\n two words\n-- sys/module/m/parameters/empty --\n\n"+
		"-- sys/module/m/secret --\nnot a parameter\n-- sys/module/m/taint --\nOE\n")
	for name, want := range map[string]string{"a": "1", "words": " two words", "empty": ""} {
		if got, shown := s.Parameter("m", name); got != want || !shown {
			t.Errorf("%s: %q, %t, want %q", name, got, shown, want)
		}
	}
	for _, name := range []string{"b", "../secret", "", "."} {
		if got, shown := s.Parameter("m", name); shown {
			t.Errorf("%q: %q", name, got)
		}
	}
	if got := s.Taints("m") + s.Taints("absent"); got != "OE" {
		t.Errorf("taints %q", got)
	}
}
