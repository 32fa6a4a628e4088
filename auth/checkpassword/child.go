package checkpassword

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"dovetail/auth"
)

// maxAnswer bounds what a program may answer, in bytes.
const maxAnswer = 64 << 10

// child is one run of a program.
type child struct {
	words, env []string
	pid        int
	said       tail // on standard error
}

// run starts it and gives what it has written to descriptor 4 until that was closed and the program had ended.
func (c *child) run(ctx context.Context, request []byte) ([]byte, error) {
	theirs, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	defer theirs.Close()
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	defer answers.Close()
	cmd := exec.CommandContext(ctx, c.words[0], c.words[1:]...)
	cmd.Env, cmd.Dir, cmd.Stderr = c.env, "/", &c.said
	cmd.ExtraFiles = []*os.File{theirs, answers} // 3 and 4
	cmd.WaitDelay = time.Second                  // for what it has left running with standard error open
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c.pid = cmd.Process.Pid
	theirs.Close()
	answers.Close()
	// A pipe has room for all of it, so nobody waits; who does not read it need not.
	_, _ = in.Write(request)
	in.Close()
	// What the program leaves running may keep descriptor 4.
	defer context.AfterFunc(ctx, func() { out.SetReadDeadline(time.Unix(1, 0)) })()
	answer, readErr := io.ReadAll(io.LimitReader(out, maxAnswer+1))
	if len(answer) > maxAnswer {
		cmd.Process.Kill()
		readErr = fmt.Errorf("%s: answers more than %d bytes", c.words[0], maxAnswer)
	}
	if err := cmd.Wait(); readErr == nil && !errors.Is(err, exec.ErrWaitDelay) {
		return answer, err
	}
	return answer, readErr
}

// tail keeps the end of what is written, one goroutine writing.
type tail []byte

// most is how many bytes of it.
const most = 512

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if extra := len(*t) - most; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(b), nil
}

// without is the text for the log; a program that repeats the password there has it taken out, also where the beginning was
// cut off within it.
func (t *tail) without(password *string) string {
	text := []byte(*t)
	if password != nil && *password != "" {
		for i := 1; i < len(*password) && len(text) == most; i++ {
			text = bytes.TrimPrefix(text, []byte((*password)[i:]))
		}
		text = bytes.ReplaceAll(text, []byte(*password), []byte("<password>"))
	}
	return string(bytes.TrimSpace(text))
}

// variables are those that get into the environment behind AUTH_. "password" is none.
var variables = strings.Fields(`user username domain domain_first domain_last service lip local_ip rip remote_ip lport local_port
	rport remote_port pid mech mechanism secured cert session local_name client_id login_user login_username login_domain
	master_user auth_user auth_username auth_domain orig_user orig_username orig_domain original_user original_username
	original_domain real_lip real_local_ip real_rip real_remote_ip real_lport real_local_port real_rport real_remote_port`)

// environment is all that a program has of it.
func environment(r *auth.Request) []string {
	env := []string{"PROTO=TCP", "ORIG_UID=" + strconv.Itoa(os.Getuid()), "SERVICE=" + r.Service}
	if path := os.Getenv("PATH"); path != "" {
		env = append(env, "PATH="+path)
	}
	seen := map[string]bool{"PATH": true, "AUTHORIZED": true, "IFS": true, "ENV": true, "BASH_ENV": true}
	put := func(name, value string) {
		if value == "" || seen[name] || strings.ContainsRune(value, 0) {
			return
		}
		seen[name] = true
		env = append(env, name+"="+value)
	}
	for name, variable := range map[string]string{"TCPLOCALIP": "lip", "LOCAL_IP": "lip", "TCPLOCALPORT": "lport", "TCPREMOTEIP": "rip",
		"REMOTE_IP": "rip", "TCPREMOTEPORT": "rport", "MASTER_USER": "master_user"} {
		value, _ := r.Variable(variable) // all are known
		put(name, value)
	}
	for _, name := range variables {
		value, err := r.Variable(name)
		if err == nil {
			put("AUTH_"+strings.ToUpper(name), value)
		}
	}
	for _, f := range r.Pass {
		if name := strings.ToUpper(f.Key); harmless(name) {
			put(name, f.Value)
		}
	}
	return env
}

// harmless tells whether a field may be a variable: it is a name, it does not tell the loader what to load, and it is no
// password.
func harmless(name string) bool {
	if strings.HasPrefix(name, "LD_") || strings.HasPrefix(name, "PASS") || name == "INSECURE_SETUID" {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// parse reads fields: key=value, or a key alone, between tabs, with Dovecot's escapes of byte 1.
func parse(answer []byte) (auth.Fields, error) {
	switch {
	case len(answer) == 0:
		return nil, failure("Received no input")
	case bytes.IndexByte(answer, 0) >= 0:
		return nil, failure("NUL characters in checkpassword reply")
	case bytes.IndexByte(answer, '\n') >= 0:
		return nil, failure("LF characters in checkpassword reply")
	}
	var fields auth.Fields
	for word := range strings.SplitSeq(string(answer), "\t") {
		key, value, _ := strings.Cut(unescape.Replace(word), "=")
		if key != "" {
			fields = fields.Set(key, value)
		}
	}
	return fields, nil
}

// Dovecot's escapes (src/lib/strescape.c).
var (
	escape   = strings.NewReplacer("\x01", "\x011", "\t", "\x01t", "\n", "\x01n", "\r", "\x01r")
	unescape = strings.NewReplacer("\x011", "\x01", "\x01t", "\t", "\x01n", "\n", "\x01r", "\r", "\x010", "")
)
