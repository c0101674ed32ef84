package usage

import (
	"bytes"
	"strings"
)

// display answers for what a graphics card has: nodes, and connectors, of which
// one that is enabled shows a picture.
func display(q *inquiry, d *device) []Finding {
	if d.hasNode {
		return nodeOf(q, d, KindGraphics)
	}
	switch state := q.walk.read(d.path + "/enabled"); string(state) {
	case "enabled":
		return []Finding{d.finding(KindGraphics, InUse, "%s shows a picture", d.name())}
	case "disabled":
		return []Finding{d.finding(KindGraphics, Idle, "%s shows no picture", d.name())}
	}
	if !q.walk.exists(d.path) {
		return nil
	}
	return []Finding{d.finding(KindGraphics, Unknown, "nothing says whether %s is in use", d.name())}
}

// frameBuffer answers for a frame buffer: the console may be on it, and nothing
// says on which one. Whether a process has it open is asked as well.
func frameBuffer(q *inquiry, d *device) []Finding {
	found := nodeOf(q, d, KindGraphics)
	if q.consoleOnFrameBuffer() {
		found = append(found, d.finding(KindGraphics, InUse, "the console is on a frame buffer, which may be %s", d.name()))
	}
	return found
}

func (q *inquiry) consoleOnFrameBuffer() bool {
	if q.console == nil {
		bound := false
		for _, con := range q.walk.names("/class/vtconsole") {
			dir := "/class/vtconsole/" + con
			bound = bound || bytes.Contains(q.walk.read(dir+"/name"), []byte("frame buffer device")) &&
				strings.TrimSpace(string(q.walk.read(dir+"/bind"))) != "0"
		}
		q.console = &bound
	}
	return *q.console
}
