package worker

import (
	"errors"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/kmodd/kmodd/daemon/kernel"
)

func TestPacketsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := request{task: task(rapid.Byte().Draw(t, "task"))} // of a load, a probe or an unload unless one of these follows
		if asked.task == runCommand || rapid.Bool().Draw(t, "command") {
			asked.task = runCommand
			asked.command = Command{Verb: rapid.String().Draw(t, "verb"), Module: rapid.String().Draw(t, "module"), Shell: rapid.String().Draw(t, "shell"),
				Options: rapid.String().Draw(t, "options"), Limit: time.Duration(rapid.Int64().Draw(t, "limit"))}
		} else if asked.task == assignDevice || rapid.Bool().Draw(t, "assign") {
			asked.task = assignDevice
			asked.assign = kernel.Assignment{Path: rapid.String().Draw(t, "path"), Bus: rapid.String().Draw(t, "bus"), Owner: kernel.Owner(rapid.Byte().Draw(t, "owner")),
				Module: rapid.String().Draw(t, "module"), Gently: rapid.Bool().Draw(t, "gently"), Ours: rapid.Bool().Draw(t, "ours")}
		} else if asked.task.isAble() || rapid.Bool().Draw(t, "able") {
			asked.task = rapid.SampledFrom([]task{surveyModule, tendNodes}).Draw(t, "what")
			asked.module.Name, asked.able = rapid.String().Draw(t, "module"), rapid.String().Draw(t, "asked")
		} else {
			asked.module = kernel.Module{Name: rapid.String().Draw(t, "name"), File: rapid.String().Draw(t, "file"), Options: rapid.String().Draw(t, "options"), Measure: rapid.Bool().Draw(t, "measure"), Settings: rapid.String().Draw(t, "settings"),
				Async: kernel.Async(rapid.Byte().Draw(t, "async")), Nice: rapid.IntRange(0, 19).Draw(t, "nice"), Known: rapid.Bool().Draw(t, "known"), LookInto: rapid.SliceOfN(rapid.StringMatching("/[a-z]+[.]ko"), 1, 3).Draw(t, "look into")}
		}
		if got, err := parseRequest(asked.append(nil)); err != nil || !reflect.DeepEqual(got, asked) {
			t.Errorf("%+v, %v, want %+v", got, err, asked)
		}
		answered := reply{time.Duration(rapid.Int64().Draw(t, "got")), time.Duration(rapid.Int64().Draw(t, "called")), time.Duration(rapid.Int64().Draw(t, "took")), 5, rapid.String().Draw(t, "op"), rapid.StringN(0, -1, maxWords).Draw(t, "words"),
			rapid.String().Draw(t, "firmware"), rapid.Uint32().Draw(t, "missing"), rapid.Int64().Draw(t, "memory"),
			kernel.Requests(rapid.Byte().Draw(t, "requests")), rapid.Bool().Draw(t, "async"), rapid.Bool().Draw(t, "named"),
			kernel.Assigned{Module: rapid.String().Draw(t, "has"), Held: rapid.Bool().Draw(t, "held")}, rapid.StringN(0, -1, 100).Draw(t, "found")}
		if got, err := parseReply(answered.append(nil)); err != nil || *got != answered {
			t.Errorf("%+v, %v, want %+v", got, err, answered)
		}
	})
}

func TestALongAnswerIsCutToFit(t *testing.T) {
	firmware := strings.Repeat(strings.Repeat("f", 100)+"\n", 8) // kernel.Firmware has no more
	b := reply{op: "unpack", words: strings.Repeat("ü", maxReply), firmware: firmware}.append(nil)
	got, err := parseReply(b)
	if err != nil || len(b) > maxReply || !strings.HasPrefix(got.words, "üüü") || !utf8.ValidString(got.words) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestAsMuchAsASurveyMayFindFits(t *testing.T) {
	b := reply{found: strings.Repeat("x", maxFound)}.append(nil)
	if got, err := parseReply(b); err != nil || len(b) > maxReply || len(got.found) != maxFound {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// verbose is a kernel that loads everything, and has much to say of it.
type verbose struct{ Loader }

func (verbose) Load(kernel.Module, *os.File, kernel.How) error { return nil }

func (verbose) Set(_, settings string) error { return errors.New("refused: " + settings) }

func (verbose) Inspect(io.ReaderAt, int64, bool) kernel.Inspection {
	return kernel.Inspection{Firmware: kernel.Firmware{Missing: slices.Repeat([]string{strings.Repeat("f", 100)}, 8), Total: 8}} // it has no more
}

func TestWhatCouldNotBeSetFitsBesideMissingFirmware(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := request{task: loadPlain, module: kernel.Module{Name: "m", Settings: "a=" + strings.Repeat("x", maxReply)}}
	if b := carryOut(r, f, verbose{}, Abilities{}).append(nil); len(b) > maxReply || !strings.Contains(string(b), "refused: a=xxx") {
		t.Errorf("%d bytes, want at most %d", len(b), maxReply)
	}
}

// What is read as a packet is one: written again it is read as the same.
func FuzzPackets(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{version})
	f.Add([]byte{version + 1, 0, 0, 0, 0})
	f.Add([]byte{version, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add(request{task: loadPlain, module: kernel.Module{Name: "m", File: "/m.ko", Options: "a=1"}}.append(nil))
	f.Add(request{task: runCommand, command: Command{Verb: "install", Module: "m", Shell: "true", Limit: time.Second}}.append(nil))
	f.Add([]byte{version, byte(runCommand), 0, 0})
	f.Add(request{task: assignDevice, assign: kernel.Assignment{Path: "/devices/d", Bus: "pci", Owner: kernel.OfModule, Module: "m", Gently: true}}.append(nil))
	f.Add([]byte{version, byte(assignDevice), 0})
	f.Add(request{task: surveyModule, module: kernel.Module{Name: "m"}, able: "{}"}.append(nil))
	f.Add(reply{op: "load", words: "no", errno: 2, firmware: "a.bin\nb.bin", missing: 3}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRequest(b); err == nil {
			if again, err := parseRequest(r.append(nil)); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
		if r, err := parseReply(b); err == nil && len(r.words) <= maxWords && utf8.ValidString(r.words) {
			if again, err := parseReply(r.append(nil)); err != nil || *again != *r {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
	})
}
