package coordinator

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRaftLogKeepsRepetitionsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := RaftLogger(slog.New(slog.NewTextHandler(&out, nil)))
		for range 100 {
			log.Error("failed to heartbeat to", "peer", "a", "error", fmt.Errorf("refused"))
			log.Error("failed to heartbeat to", "peer", "b", "error", fmt.Errorf("refused"))
			time.Sleep(time.Second / 5) // virtual time
		}
		log.Error("failed to decode", "error", net.ErrClosed)
		log.Info("entering follower state")
		if got := strings.Count(out.String(), "\n"); got != 2 {
			t.Errorf("%d lines in 20 s, want one for each peer:\n%s", got, out.String())
		}
		time.Sleep(repeatAfter) // virtual time
		log.Error("failed to heartbeat to", "peer", "a", "error", fmt.Errorf("refused"))
		if got := strings.Count(out.String(), "\n"); got != 3 {
			t.Errorf("%d lines, want it repeated after %s", got, repeatAfter)
		}
	})
}
