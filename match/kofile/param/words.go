package param

import (
	"iter"
	"strings"
)

// A Word is one parameter that is given: NAME, or NAME=VALUE.
type Word struct {
	Name, Value string
	HasValue    bool
}

// blanks end a word. The kernel's isspace() knows the blank of Latin-1, too.
const blanks = " \t\n\v\f\r\xa0"

func skip(text string) string {
	for text != "" && strings.IndexByte(blanks, text[0]) >= 0 {
		text = text[1:]
	}
	return text
}

// Words takes a module's parameters apart as the kernel does (next_arg in
// lib/cmdline.c), up to a word "--", behind which the kernel reads nothing.
func Words(text string) iter.Seq[Word] {
	return func(yield func(Word) bool) {
		var w Word
		for text = skip(text); text != ""; text = skip(text) {
			w, text = next(text)
			if w.Name == "--" && !w.HasValue || !yield(w) {
				return
			}
		}
	}
}

// next takes the first word off a text. Blanks between quotes do not end it, and
// quotes around all of it or around its value are not part of it.
func next(text string) (w Word, rest string) {
	text, quoted := strings.CutPrefix(text, `"`)
	inside, end := quoted, 0
	for ; end < len(text) && (inside || strings.IndexByte(blanks, text[end]) < 0); end++ {
		inside = inside != (text[end] == '"')
	}
	word, rest := text[:end], text[min(end+1, len(text)):]
	// An equals sign at the beginning is part of the name.
	if at := strings.IndexByte(word[min(1, len(word)):], '='); at >= 0 {
		w.Name, w.Value, w.HasValue = word[:at+1], word[at+2:], true
		if value, ok := strings.CutPrefix(w.Value, `"`); ok {
			w.Value = strings.TrimSuffix(value, `"`)
			return w, rest
		}
	} else {
		w.Name = word
	}
	if quoted {
		w.trimQuote()
	}
	return w, rest
}

// trimQuote takes away the last quote of a word that began with one.
func (w *Word) trimQuote() {
	if w.HasValue {
		w.Value = strings.TrimSuffix(w.Value, `"`)
	} else {
		w.Name = strings.TrimSuffix(w.Name, `"`)
	}
}
