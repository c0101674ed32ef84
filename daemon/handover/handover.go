// Package handover is what one kmodd leaves for the next: which modules it has
// put in, in a small file of /run/kmodd.
//
// # When it is written, and when it counts
//
// A daemon that ends because it is told to writes the file, and its successor
// reads and removes it. One that is killed leaves none: what it put in then
// counts as somebody else's, which nobody ever takes out. A file of an earlier
// boot does not count either.
//
// The file says in which root file system its writer lived. A daemon with another
// one, as after an initramfs, pins what it inherits: the files that the modules
// came from may be gone, so they could not come back.
//
// # The file
//
// A line says what it is in its first word. Strings that may hold anything are
// quoted as in Go; times are nanoseconds since the kernel's start.
//
//	kmodd 1
//	boot "6d1b2f0e-…"
//	root "2:9217"
//	module e1000e pinned=false wanted=… began=… live=… for="/devices/…" options=""
//	held "/devices/…"
//	unloading "uas"
//	pinned "e1000e"
//	released "boot-complete"
//	asleep "uvcvideo" "/devices/…"
//	opening "char-major-81-0" "video0" "660 0 44" "v4l/by-id/…"
//	made "cdc_acm" "/devices/…"
//	known "cdc_acm" "usb:v…"
//	settings "uvcvideo" "quirks=2" "timeout=5000\x00trace=0"
//
// An opening is one of the module before it. What is made, or has fewer devices than
// before, is asleep as well. Settings are the options that a module was put in with,
// and what its parameters were when it was taken out.
package handover

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmodd/kmodd/daemon/control"
)

// File is the name of the file, beside the daemon's socket.
const File = "state"

// JournalFile is the name of one that is there while a daemon lives, and after it
// was killed too: which devices it keeps drivers from, which modules it was taking
// out, and which are to stay. It is written before any of that is done.
const JournalFile = "journal"

// HelperFile is the name of one that is there while the kernel asks the daemon's
// helper: its only line is the helper that it asked before.
const HelperFile = "modprobe"

// header begins a file of the version that this package writes and reads.
const header = "kmodd 1\n"

// most is how long a file may be. Four thousand modules need less.
const most = 1 << 20

// A State is what is handed over.
type State struct {
	Boot    string           // the kernel's boot_id
	Root    string           // the device and the number of the writer's root directory
	Modules []control.Module // those that the daemon has put in; of each, what the file has
	Journal                  // what counts however it ended
}

// A Journal is what a daemon writes down before it does it.
type Journal struct {
	Held      []string          // paths of the devices that drivers are kept from
	Unloading []string          // modules that are being taken out, or could not be
	Pinned    []string          // modules that are to stay
	Released  []string          // what deferred modules waited for, and modules that wait no more
	Asleep    []control.Sleeper // what has placeholders instead of nodes, or may have
	Known     []control.Sleeper // what is opened of devices of a MODALIAS, which is the only one of Devices
	Settings  []control.Settings
}

// Inherited returns the modules that a daemon of this boot and this root takes
// over from s, none of an earlier boot.
func (s State) Inherited(boot, root string) []control.Module {
	if s.Boot != boot || boot == "" {
		return nil
	}
	for i := range s.Modules {
		s.Modules[i].Pinned = s.Modules[i].Pinned || s.Root != root
	}
	return s.Modules
}

// Append appends the text of the file to b.
func (s State) Append(b []byte) []byte {
	b = append(b, header...)
	b = fmt.Appendf(b, "boot %q\nroot %q\n", s.Boot, s.Root)
	for _, m := range s.Modules {
		b = fmt.Appendf(b, "module %s pinned=%t wanted=%d began=%d live=%d for=%q options=%q\n",
			m.Name, m.Pinned, m.Wanted, m.Began, m.Live, m.For, m.Options)
	}
	for _, list := range s.lists() {
		for _, word := range *list.words {
			b = fmt.Appendf(b, "%s %q\n", list.name, word)
		}
	}
	for _, a := range s.Asleep {
		name := "asleep"
		switch {
		case a.Made:
			name = "made"
		case a.Fewer:
			name = "fewer"
		}
		b = appendSleeper(b, name, a)
	}
	for _, k := range s.Known {
		b = appendSleeper(b, "known", k)
	}
	for _, set := range s.Settings {
		b = appendWords(b, "settings", []string{set.Module, set.Options, set.Values})
	}
	return b
}

func appendSleeper(b []byte, name string, a control.Sleeper) []byte {
	b = appendWords(b, name, append([]string{a.Module}, a.Devices...))
	if len(a.Must) > 0 {
		b = appendWords(b, "must", a.Must)
	}
	for _, o := range a.Openings {
		b = appendWords(b, "opening", append([]string{o.Alias, o.Name, o.Access}, o.Links...))
	}
	return b
}

func appendWords(b []byte, name string, words []string) []byte {
	b = append(b, name...)
	for _, word := range words {
		b = fmt.Appendf(b, " %q", word)
	}
	return append(b, '\n')
}

// Parse reads the text of a file. It is whole or an error: half of what was ours
// is no better than nothing.
func Parse(text string) (s State, err error) {
	rest, ok := strings.CutPrefix(text, header)
	if !ok {
		return s, errors.New("not a state of this version")
	}
	number := 1
	for line := range strings.Lines(rest) {
		number++
		if err := s.parseLine(strings.TrimSuffix(line, "\n")); err != nil {
			return State{}, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return s, nil
}

func (s *State) parseLine(line string) (err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "boot":
		s.Boot, err = strconv.Unquote(rest)
	case "root":
		s.Root, err = strconv.Unquote(rest)
	case "module":
		var m control.Module
		m, err = parseModule(rest)
		s.Modules = append(s.Modules, m)
	case "asleep", "made", "fewer", "known", "must", "opening":
		return s.parseAsleep(word, rest)
	case "settings":
		words, err := unquote(rest)
		if err != nil || len(words) != 3 {
			return cmp.Or(err, errors.New("settings: a part is missing"))
		}
		s.Settings = append(s.Settings, control.Settings{Module: words[0], Options: words[1], Values: words[2]})
	default:
		return s.parseListed(word, rest)
	}
	return err
}

// parseAsleep reads a line about what sleeps.
func (s *State) parseAsleep(name, rest string) error {
	words, err := unquote(rest)
	switch {
	case err != nil:
		return err
	case name == "known" && len(words) > 0:
		s.Known = append(s.Known, control.Sleeper{Module: words[0], Devices: words[1:]})
	case name != "opening" && name != "must" && len(words) > 0:
		s.Asleep = append(s.Asleep, control.Sleeper{Module: words[0], Devices: words[1:], Made: name == "made", Fewer: name == "fewer"})
	case name == "must" && s.lastSleeper() != nil:
		s.lastSleeper().Must = words
	case name == "opening" && len(words) > 2 && s.lastSleeper() != nil:
		last := s.lastSleeper()
		last.Openings = append(last.Openings, control.Opening{Alias: words[0], Name: words[1], Access: words[2], Links: slices.Clip(words[3:])})
	default:
		return fmt.Errorf("%s: a part is missing", name)
	}
	return nil
}

// lastSleeper is the one that was read last, nil before the first.
func (s *State) lastSleeper() *control.Sleeper {
	for _, list := range [][]control.Sleeper{s.Known, s.Asleep} { // which is their order, backwards
		if len(list) > 0 {
			return &list[len(list)-1]
		}
	}
	return nil
}

// unquote takes a list of quoted words apart.
func unquote(text string) (words []string, err error) {
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			return nil, err
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, text = append(words, word), strings.TrimPrefix(text[len(quoted):], " ")
	}
	return words, nil
}

// A list is one of those of a state, and the word of its lines.
type list struct {
	name  string
	words *[]string
}

func (s *State) lists() []list {
	return []list{{"held", &s.Held}, {"unloading", &s.Unloading}, {"pinned", &s.Pinned}, {"released", &s.Released}}
}

func (s *State) parseListed(name, quoted string) error {
	for _, l := range s.lists() {
		if l.name != name {
			continue
		}
		word, err := strconv.Unquote(quoted)
		*l.words = append(*l.words, word)
		return err
	}
	return fmt.Errorf("unknown word %q", name)
}

func parseModule(text string) (m control.Module, err error) {
	m = control.Module{State: control.Live, Ours: true}
	f := fields{rest: text}
	m.Name = f.name()
	m.Pinned = f.value("pinned") == "true"
	m.Wanted = f.time("wanted")
	m.Began = f.time("began")
	m.Live = f.time("live")
	m.For = f.text("for")
	m.Options = f.text("options")
	if f.err == nil && f.rest != "" {
		f.err = fmt.Errorf("more than is known: %q", f.rest)
	}
	return m, f.err
}

// fields takes a line apart. After the first error it gives nothing more.
type fields struct {
	rest string
	err  error
}

func (f *fields) name() (word string) {
	word, f.rest, _ = strings.Cut(f.rest, " ")
	if word == "" || strings.ContainsAny(word, "/.") {
		f.err = fmt.Errorf("%q is no name of a module", word)
	}
	return word
}

// value takes the value of a key.
func (f *fields) value(key string) (value string) {
	rest, ok := strings.CutPrefix(f.rest, key+"=")
	if f.err != nil || !ok {
		f.fail(key, errors.New("it is missing"))
		return ""
	}
	value, f.rest, _ = strings.Cut(rest, " ")
	return value
}

func (f *fields) time(key string) time.Duration {
	n, err := strconv.ParseInt(f.value(key), 10, 64)
	f.fail(key, err)
	return time.Duration(n)
}

// text takes the value of a key that is quoted, and may hold blanks.
func (f *fields) text(key string) string {
	rest, ok := strings.CutPrefix(f.rest, key+"=")
	quoted, err := strconv.QuotedPrefix(rest)
	if !ok || err != nil {
		f.fail(key, errors.New("it is missing, or has no quotes"))
		return ""
	}
	f.rest = strings.TrimPrefix(rest[len(quoted):], " ")
	text, err := strconv.Unquote(quoted)
	f.fail(key, err)
	return text
}

func (f *fields) fail(key string, err error) {
	if f.err == nil && err != nil {
		f.err = fmt.Errorf("%s: %w", key, err)
	}
}

// Take reads the file in a directory and removes it, so that it is taken over
// once. Where there is none, that is [os.ErrNotExist].
func Take(dir string) (State, error) {
	s, err := read(dir, File)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errNotOurs) {
		return s, err
	}
	return s, errors.Join(err, os.Remove(filepath.Join(dir, File)))
}

// ReadJournal returns what a daemon of this boot has written down. Where there is
// no file that is nothing.
func ReadJournal(dir, boot string) (Journal, error) {
	s, err := read(dir, JournalFile)
	if errors.Is(err, os.ErrNotExist) || err == nil && (s.Boot != boot || boot == "") {
		return Journal{}, nil
	}
	return s.Journal, err
}

// errNotOurs is said of a file that is left alone.
var errNotOurs = errors.New("not a file of the daemon's")

func read(dir, file string) (State, error) {
	name := filepath.Join(dir, file)
	info, err := os.Lstat(name)
	if err != nil {
		return State{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return State{}, fmt.Errorf("%s: %w", name, errNotOurs)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return State{}, err
	}
	s, err := Parse(string(text))
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return s, err
}

// Leave writes the file into a directory, for root alone to read. A reader finds
// all of it or nothing: it is written beside its place and renamed. /run is in
// memory, so nothing is synced.
func (s State) Leave(dir string) error { return s.write(filepath.Join(dir, File)) }

// WriteJournal writes the other file, in the same way.
func (s State) WriteJournal(dir string) error { return s.write(filepath.Join(dir, JournalFile)) }

func (s State) write(name string) error { return Replace(name, s.Append(nil)) }

// Replace gives a file another content, or leaves it as it is: nobody ever sees half of it.
func Replace(name string, content []byte) error {
	half := name + ".new"
	err := os.WriteFile(half, content, 0o600)
	if err == nil {
		err = os.Rename(half, name)
	}
	if err != nil {
		os.Remove(half) // it takes room where there is none
	}
	return err
}

// WriteHelper keeps whom the kernel asked for modules before it asked the daemon's
// helper, "" for nobody.
func WriteHelper(dir, before string) error {
	return Replace(filepath.Join(dir, HelperFile), []byte(before+"\n"))
}

// ReadHelper returns that. It is not known of a file that is not there, or not whole.
func ReadHelper(dir string) (before string, known bool) {
	text, err := os.ReadFile(filepath.Join(dir, HelperFile))
	before, whole := strings.CutSuffix(string(text), "\n")
	if err != nil || !whole {
		return "", false
	}
	return strings.TrimSpace(before), true
}

// RootID names the directory that a path leads to, usually "/": two of one name
// are the same one.
func RootID(path string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), nil
}
