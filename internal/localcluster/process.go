// Package localcluster runs a Cairn cluster as real processes on this machine, for the demo and for end-to-end
// tests: three coordinators and three task nodes on free ports of the loopback interface, each with a log and a
// data directory of its own below one directory. It drives them as a user would, through the command line.
package localcluster

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is one daemon, which can be killed and started again with the same arguments. It is for one goroutine.
type Process struct {
	Name string // also its --id
	Log  string // path of its log, which every start appends to

	path string
	args []string
	// environment are variables, as NAME=VALUE, that the process has besides those of this one.
	environment []string
	cmd         *exec.Cmd
	done        chan struct{} // closed when cmd has ended
}

// Start starts the process, or starts it again.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(cmd.Environ(), p.environment...)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own, so that Ctrl-C reaches the parent alone, which then stops everything in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.Name, err)
	}
	done := make(chan struct{})
	p.cmd, p.done = cmd, done
	go func() {
		cmd.Wait() // how it ended does not matter: it was killed, or its log says why
		close(done)
	}()
	return nil
}

// Path returns the path of the binary.
func (p *Process) Path() string { return p.path }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Running reports whether the process has been started and has not ended.
func (p *Process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// graceful is how long Stop waits before it uses force.
const graceful = 5 * time.Second

// Stop ends the process gracefully, or by force when that takes too long. It does nothing to one that does not
// run.
func (p *Process) Stop() {
	if !p.Running() {
		return
	}
	// That it has ended in the meantime is all that can go wrong here, and done tells.
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have been paused
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(graceful):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// Memory returns the resident memory of the process in bytes, 0 where the system does not tell.
func (p *Process) Memory() int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
