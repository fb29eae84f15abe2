package executor

import (
	"reflect"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// latest returns what the last message says of a subtask.
func latest(t *testing.T, messages []checkpoint.TaskMetrics, s checkpoint.SubtaskID) checkpoint.SubtaskMetrics {
	t.Helper()
	if len(messages) == 0 {
		t.Fatal("no metrics were offered")
	}
	for _, m := range messages[len(messages)-1].Subtasks {
		if m.Subtask == s {
			return m
		}
	}
	t.Fatalf("no metrics of %s in %+v", s, messages)
	return checkpoint.SubtaskMetrics{}
}

// work lets a task do the same in each of some seconds.
func work(f *fakeTask, seconds int, each dataflow.Stats) {
	for range seconds {
		s := f.Stats()
		s.RecordsIn += each.RecordsIn
		s.RecordsOut += each.RecordsOut
		s.BytesIn += each.BytesIn
		s.BytesOut += each.BytesOut
		s.Idle += each.Idle
		s.Backpressured += each.Backpressured
		s.LateRecords += each.LateRecords
		s.InFlightBytes, s.Watermark = each.InFlightBytes, each.Watermark
		f.measures(s)
		time.Sleep(time.Second)
	}
}

// The leader hears once a second of all subtasks in one message, with rates over the last seconds.
func TestMetricsOfTasksReachTheLeader(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		follower := &fakeSession{}
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		time.Sleep(metricsInterval / 2) // between two measurements
		work(read, 10, dataflow.Stats{RecordsIn: 1000, Watermark: dataflow.MinEventTime})
		leader.takeOffered()
		work(read, 6, dataflow.Stats{
			RecordsIn: 100, RecordsOut: 40, BytesIn: 800, BytesOut: 320, LateRecords: 2, InFlightBytes: 77, Watermark: 5000,
			Idle: 200 * time.Millisecond, Backpressured: 500 * time.Millisecond,
		})
		offered := leader.takeOffered()
		if len(offered) != 6 || offered[0].Job != job1 || offered[0].Attempt != 1 || len(offered[0].Subtasks) != 2 {
			t.Fatalf("6 seconds gave %+v", offered)
		}
		at := int64(5000)
		want := checkpoint.SubtaskMetrics{
			Subtask: read0, RecordsIn: 10600, RecordsOut: 240, BytesIn: 4800, BytesOut: 1920, LateRecords: 12, Watermark: &at,
			Load: &checkpoint.TaskLoad{
				RecordsIn: 100, RecordsOut: 40, BytesIn: 800, BytesOut: 320, InFlightBytes: 77,
				BusyMillis: 300, BackpressuredMillis: 500, IdleMillis: 200,
			},
		}
		if got := latest(t, offered, read0); !reflect.DeepEqual(got, want) {
			t.Errorf("told %+v, load %+v\nwant %+v, load %+v", got, got.Load, want, want.Load)
		}
		if got := follower.takeOffered(); len(got) != 0 {
			t.Errorf("a coordinator that does not lead was told %+v", got)
		}
	})
}

// Of a subtask that does not run there are totals, and no rates: none are known, which is not the same as 0.
func TestMetricsWithoutRates(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		read.measures(dataflow.Stats{RecordsIn: 7, Watermark: dataflow.MinEventTime})
		time.Sleep(metricsInterval)
		if got := latest(t, leader.takeOffered(), read0); got.Load != nil || got.RecordsIn != 7 || got.Watermark != nil {
			t.Errorf("after the first measurement: %+v", got)
		}
		time.Sleep(metricsInterval)
		if got := latest(t, leader.takeOffered(), read0); got.Load == nil || got.Load.RecordsIn != 0 || got.Load.BusyMillis != 1000 {
			t.Errorf("after the second: %+v", got)
		}
		read.status(checkpoint.SubtaskFailed)
		time.Sleep(metricsInterval)
		if got := latest(t, leader.takeOffered(), read0); got.Load != nil || got.RecordsIn != 7 {
			t.Errorf("after it has failed: %+v", got)
		}
	})
}

// What a session cannot take at once is lost, and what comes later is up to date.
func TestMetricsAreLostOnASlowSession(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read := c.task(1, read0)
		leader.setSlow(true)
		work(read, 60, dataflow.Stats{RecordsIn: 10, Watermark: dataflow.MinEventTime})
		if got := leader.takeOffered(); len(got) != 0 {
			t.Errorf("a slow session was told %+v", got)
		}
		leader.setSlow(false)
		time.Sleep(metricsInterval)
		offered := leader.takeOffered()
		if got := latest(t, offered, read0); len(offered) != 1 || got.RecordsIn != 600 {
			t.Errorf("told %+v", offered)
		}
	})
}

// An attempt that is over is told of once more, and once to a new leader; one that has been replaced not at all.
func TestMetricsOfAnAttemptThatHasEnded(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.Receive(leader, deployment(1, 1))
		read, write := c.task(1, read0), c.task(1, write0)
		time.Sleep(10 * metricsInterval)
		leader.takeOffered()
		read.measures(dataflow.Stats{RecordsIn: 42, Watermark: dataflow.MaxEventTime})
		read.end <- nil
		write.end <- nil
		offered := leader.takeOffered()
		if got := latest(t, offered, read0); len(offered) != 1 || got.RecordsIn != 42 || got.Load != nil {
			t.Errorf("at the end: %+v", offered)
		}
		time.Sleep(time.Minute)
		if got := leader.takeOffered(); len(got) != 0 {
			t.Errorf("after the end: %+v", got)
		}
		next, _ := c.lead(2, "c2")
		time.Sleep(time.Minute)
		offered = next.takeOffered()
		if got := latest(t, offered, read0); len(offered) != 1 || got.RecordsIn != 42 {
			t.Errorf("a new leader is told %+v", offered)
		}
		c.Receive(next, deployment(2, 2))
		time.Sleep(time.Minute)
		for _, m := range next.takeOffered() {
			if m.Attempt != 2 {
				t.Errorf("of an attempt that has been replaced: %+v", m)
			}
		}
	})
}
