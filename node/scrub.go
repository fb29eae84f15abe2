package node

import (
	"context"
	"time"

	"cairn/statestore"
)

// scrubPause is the time between two attempts when a pass over the store ends with an error.
const scrubPause = time.Minute

// scrub reads all chunks of the node's own store again and again, a pass in each scrub interval, until ctx is done. What
// is wrong is put right elsewhere: the store tells of copies that have gone bad, and the leader orders new ones. So a pass
// that fails is no reason to stop the node.
func (a *Agent) scrub(ctx context.Context) error {
	if a.cfg.ScrubInterval == 0 || a.store.local == nil {
		return nil
	}
	return scrubForever(ctx, func(ctx context.Context) error {
		err := a.store.local.Scrub(ctx, statestore.ScrubOptions{Interval: a.cfg.ScrubInterval})
		if err != nil && ctx.Err() == nil {
			a.log.Warn("the chunks could not all be read again; the scrub goes on later", "cause", err, "pause", scrubPause)
		}
		return err
	})
}

// scrubForever makes one pass after the other, which wait for their time themselves.
func scrubForever(ctx context.Context, pass func(context.Context) error) error {
	for ctx.Err() == nil {
		if err := pass(ctx); err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(scrubPause):
		}
	}
	return nil
}
