package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// a second server of the same base_dir does not start, and the first one goes on.
func TestR037StartedTwice(t *testing.T) {
	s := startServer(t, "sdbox")
	path := filepath.Join(s.dir, "run", pidFile)
	if text, err := os.ReadFile(path); err != nil || string(text) != fmt.Sprintf("%d\n", s.Process.Pid) {
		t.Errorf("%q, %v", text, err)
	}
	want := fmt.Sprintf("Fatal: Dovecot is already running with PID %d (read from %s)", s.Process.Pid, path)
	for name, code := range map[string]int{"dovetail serve": 78, "dovecot -F": 89} {
		if out, status := runAs(name, filepath.Join(s.dir, "dovecot.conf")); !strings.Contains(out, want) || status != code {
			t.Errorf("%s: exit code %d\n%s", name, status, out)
		}
	}
	s.login("ann").Close()
}

// What a server left behind that was killed keeps nobody from starting; R-038 for its socket.
func TestServeAfterAServerThatWasKilled(t *testing.T) {
	s := prepareServer(t, "sdbox")
	for _, text := range []string{"4000000\n", "1\n", "", "nonsense"} { // no process, another program, a file cut short
		if err := os.MkdirAll(filepath.Join(s.dir, "run"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.dir, "run", pidFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s.configure("sdbox")
		s.start()
		s.login("ann").Close()
		s.Process.Kill()
		s.Cmd.Wait()
	}
}

// The running server is told to reload and to stop under all names of the program.
func TestServeIsToldToReloadAndToStop(t *testing.T) {
	s := startServer(t, "sdbox")
	conf := filepath.Join(s.dir, "dovecot.conf")
	c := s.login("ann")
	defer c.Close()
	tell := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(filepath.SplitList(scriptPath)[0], name), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	tell("dovetail", "reload", "-c", conf)
	s.waitForLog("master: Warning: SIGHUP received - reloading configuration")
	s.waitForLog(reloaded)
	c.Cmd("NOOP") // what is connected stays
	tell("dovecot", "-c", conf, "stop")
	if err := s.Cmd.Wait(); err != nil {
		t.Error(err)
	}
	s.waitForLog("master: Warning: Killed with signal 15")
	if _, err := os.Stat(filepath.Join(s.dir, "run", pidFile)); err == nil {
		t.Error("the file with the process id is left")
	}
	out, err := exec.Command("dovetail", "stop", "-c", conf).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Dovecot is not running (read from "+s.dir+"/run/master.pid)") {
		t.Errorf("%v: %s", err, out)
	}
}
