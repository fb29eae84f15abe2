package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"cairn/api"
	"cairn/internal/localcluster"
)

const (
	jobName  = "wordcount"
	interval = 500 * time.Millisecond
)

// demo is one run, with what the summary tells of it.
type demo struct {
	opts    options
	dir     string
	say     narrator
	cluster *localcluster.Cluster
	want    counted // of the independent count

	failover, recovery time.Duration
	memory             string
}

// run walks through the steps. Each step checks what it says.
func (d *demo) run(ctx context.Context) error {
	steps := []func(context.Context) error{
		d.startCoordinators, d.startNodes, d.submit, d.watchCheckpoints, d.killLeader, d.killNode, d.restart,
		d.finish, d.compare, d.summarize,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// show runs a command and prints it with its output.
func (d *demo) show(ctx context.Context, args ...string) error {
	out, err := d.cluster.Coord(ctx, args...)
	if err != nil {
		return err
	}
	d.say.detail("$ coord %s", strings.Join(args, " "))
	for line := range strings.Lines(out) {
		d.say.detail("  %s", strings.TrimRight(line, "\n"))
	}
	return nil
}

func (d *demo) job(ctx context.Context) (api.JobDetail, error) { return d.cluster.Job(ctx, jobName) }

func (d *demo) startCoordinators(ctx context.Context) error {
	d.say.step("Starting 3 coordinators, each knowing one gossip address; logs in %s", d.dir)
	var err error
	if d.cluster, err = localcluster.New(d.opts.bin, d.dir); err != nil {
		return err
	}
	for _, p := range d.cluster.Coordinators {
		if err := p.Start(); err != nil {
			return err
		}
	}
	s, err := localcluster.Await(ctx, "a leader", 30*time.Second, d.cluster.Status, func(s api.Status) bool {
		return s.Leader.ID != "" && len(s.Voters) == 3
	})
	if err != nil {
		return err
	}
	d.say.step("%s leads in term %d", s.Leader.ID, s.Leader.Term)
	return nil
}

func (d *demo) startNodes(ctx context.Context) error {
	d.say.step("Starting 3 task nodes with 4 slots each, joining by gossip through c2")
	for _, p := range d.cluster.Nodes {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if _, err := localcluster.Await(ctx, "3 alive nodes", 30*time.Second, d.cluster.Status, func(s api.Status) bool {
		return localcluster.AliveNodes(s) == 3
	}); err != nil {
		return err
	}
	if _, err := localcluster.Await(ctx, "6 members", 30*time.Second, d.cluster.Members, func(m []api.Member) bool {
		return len(m) == len(d.cluster.All())
	}); err != nil {
		return err
	}
	return d.show(ctx, "members")
}

func (d *demo) submit(ctx context.Context) error {
	d.say.step("Counting the words of the .go files under %s in one plain pass", d.opts.input)
	var err error
	if d.want, err = countWords(ctx, d.opts.input); err != nil {
		return err
	}
	d.say.detail("%d files, %.1f MB, %d lines, %d words, %d different", d.want.files, float64(d.want.bytes)/1e6,
		d.want.lines, d.want.words, len(d.want.counts))
	rate := int64(float64(d.want.lines) / d.opts.duration.Seconds())
	d.say.step("Submitting the job %s over the same files, throttled to %d lines/s, a checkpoint every %s", jobName, rate, interval)
	return d.show(ctx, "job", "submit", "wordcount", "--name", jobName,
		"--param", "input="+d.opts.input, "--param", "suffix=.go", "--param", "output="+d.output(), "--param", fmt.Sprintf("rate=%d", rate),
		"--set", "checkpointing.interval="+interval.String())
}

func (d *demo) output() string { return filepath.Join(d.dir, "output") }

func (d *demo) watchCheckpoints(ctx context.Context) error {
	if _, err := localcluster.Await(ctx, "4 completed checkpoints", time.Minute, d.job, func(j api.JobDetail) bool {
		return j.Checkpoints.Completed >= 4
	}); err != nil {
		return err
	}
	d.say.step("Checkpoints complete")
	return d.show(ctx, "checkpoint", "list", jobName)
}

func (d *demo) killLeader(ctx context.Context) error {
	d.say.step("kill -9 of the leader with a checkpoint in flight (a node is held still until the leader is dead)")
	k, err := d.cluster.KillLeader(ctx, jobName)
	if err != nil {
		return err
	}
	d.failover = k.Failover
	d.say.detail("killed %s, leader of term %d, with checkpoint %d in flight; held still: %s", k.Before.ID, k.Before.Term, k.Checkpoint.ID, k.Paused)
	d.say.detail("%s leads in term %d", k.After.ID, k.After.Term)
	d.say.detail("checkpoint %d, begun in term %d, completed in term %d", k.Checkpoint.ID, k.Checkpoint.BeganTerm, k.Checkpoint.EndedTerm)
	d.say.detail("attempt %d as before, no task restarted", k.Job.Attempt)
	d.say.detail("%d ms from the kill to the next completed checkpoint", d.failover.Milliseconds())
	return nil
}

func (d *demo) killNode(ctx context.Context) error {
	job, err := d.job(ctx)
	if err != nil {
		return err
	}
	victim := d.cluster.Find(job.Subtasks[len(job.Subtasks)-1].Node)
	killed := time.Now()
	if err := victim.Kill(); err != nil {
		return err
	}
	d.say.step("kill -9 of task node %s", victim.Name)
	after, err := localcluster.Await(ctx, "the job to run again", time.Minute, d.job, func(j api.JobDetail) bool {
		return j.Attempt > job.Attempt && localcluster.Running(j)
	})
	if err != nil {
		return err
	}
	d.recovery = time.Since(killed)
	if after.RestoredFrom == 0 {
		return fmt.Errorf("attempt %d was to be restored from a checkpoint", after.Attempt)
	}
	d.say.detail("attempt %d, restored from checkpoint %d", after.Attempt, after.RestoredFrom)
	d.say.detail("%d ms until records flowed again", d.recovery.Milliseconds())
	return nil
}

func (d *demo) restart(ctx context.Context) error {
	d.say.step("Starting the killed coordinator and the killed node again")
	for _, p := range d.cluster.All() {
		if p.Running() {
			continue
		}
		if err := p.Start(); err != nil {
			return err
		}
		d.say.detail("%s is back", p.Name)
	}
	if _, err := localcluster.Await(ctx, "a healthy cluster", time.Minute, d.cluster.Status, func(s api.Status) bool {
		return s.Healthy && len(s.Voters) == 3 && localcluster.AliveNodes(s) == 3
	}); err != nil {
		return err
	}
	return d.show(ctx, "status")
}

func (d *demo) finish(ctx context.Context) error {
	d.say.step("Waiting for the job to finish")
	j, err := localcluster.Await(ctx, "the job's end", 3*time.Minute, d.job, localcluster.Ended)
	if err != nil {
		return err
	}
	if j.State != "FINISHED" {
		return fmt.Errorf("the job is %s: %s", j.State, j.Reason)
	}
	var memory []string
	for _, p := range d.cluster.All() {
		memory = append(memory, fmt.Sprintf("%s %d", p.Name, p.Memory()>>20))
	}
	d.memory = strings.Join(memory, ", ")
	d.say.detail("FINISHED in attempt %d", j.Attempt)
	return nil
}
