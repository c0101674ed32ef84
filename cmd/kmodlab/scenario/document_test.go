package scenario

import (
	"os"
	"strings"
	"testing"
)

// Every command that docs/driver-developer.md shows is run on a real kernel, as it stands
// there, by the scenario driver-developer.
func TestTheDriverDevelopersCommandsAreRun(t *testing.T) {
	document, err := os.ReadFile("../../../docs/driver-developer.md")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../../testdata/scenarios/driver-developer.txtar")
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for line := range strings.Lines(string(document)) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		if commands++; !runs(string(script), command) {
			t.Errorf("no line of the scenario runs %q", command)
		}
	}
	if commands == 0 {
		t.Error("the document has no commands")
	}
}

// runs says whether a line of a scenario ends with a command, as such or within the quotes
// of a shell's.
func runs(script, command string) bool {
	for line := range strings.Lines(script) {
		before, found := strings.CutSuffix(strings.TrimRight(line, "'\n"), command)
		if found && (strings.HasSuffix(before, " ") || strings.HasSuffix(before, "'")) && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

func TestACommandIsRunByALineThatEndsWithIt(t *testing.T) {
	const script = "# guest rmmod hello\nguest lsmod\n! guest -bg x sh -c 'cd /root && exec kmodctl dev ./hello.ko n=5'\nstdout x\n"
	for command, want := range map[string]bool{
		"rmmod hello": false, "ls": false, "mod": false, "": false, "kmodctl dev ./hello.ko": false,
		"lsmod": true, "kmodctl dev ./hello.ko n=5": true,
	} {
		if command != "" && runs(script, command) != want {
			t.Errorf("%q: %v", command, !want)
		}
	}
}
