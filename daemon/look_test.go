package daemon

import "testing"

func TestADeviceThatIsNotThereHasNoDriver(t *testing.T) {
	if got := look("/devices/nowhere"); got.Driver != "" || got.Deferred || got.Path != "/devices/nowhere" {
		t.Errorf("look: %+v", got)
	}
}
