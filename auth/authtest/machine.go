package authtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Machine is a system with an /etc of its own: its users, its services of PAM. Nothing of the real one is changed.
//
// Programs run in it where mounts can be private (root with CAP_SYS_ADMIN), else in a folder that has copies of what they
// need, which takes root as in any container ($DOVETAIL_NO_MOUNTS chooses that). Files may be changed while they run.
type Machine struct {
	// Root has etc; it is on the real system.
	Root string

	mounted   bool
	libraries string // words before a program's name in a script
	t         testing.TB
}

// NewMachine begins with the accounts of the real system, nsswitch.conf with files alone and no services of PAM.
// The test is skipped for others than root.
func NewMachine(t testing.TB) *Machine {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a system with other users can only be made by root")
	}
	// Not t.TempDir, which other users cannot enter.
	root, err := os.MkdirTemp("", "dovetail-machine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &Machine{Root: root, mounted: os.Getenv("DOVETAIL_NO_MOUNTS") == "" && exec.Command("unshare", "-m", "mount", "--bind", root, "/etc").Run() == nil, t: t}
	for _, name := range []string{"passwd", "group", "shadow", "ld.so.cache", "login.defs", "localtime", "hosts"} {
		if text, err := os.ReadFile("/etc/" + name); err == nil {
			m.Etc(name, string(text))
		}
	}
	m.Etc("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\n")
	m.copyTree("/etc/security")
	if err := os.MkdirAll(filepath.Join(root, "etc", "pam.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !m.mounted {
		m.populate()
	}
	return m
}

// Mounted tells whether programs see all of the real system but /etc.
func (m *Machine) Mounted() bool { return m.mounted }

// Etc writes a file in /etc.
func (m *Machine) Etc(name, text string) {
	m.t.Helper()
	m.File("/etc/"+name, text)
}

// File writes one anywhere, of which programs see those in /etc and /var/lib; in the latter, no others.
func (m *Machine) File(path, text string) {
	m.t.Helper()
	mode := os.FileMode(0o644)
	if filepath.Base(path) == "shadow" {
		mode = 0o600
	}
	m.write(path, text, mode)
}

// Library lets programs find a library, such as a source of the name service switch. Programs are made after it.
func (m *Machine) Library(path string) {
	m.t.Helper()
	m.copyProgram(path, filepath.Join("/libraries", filepath.Base(path)))
	m.libraries = "LD_LIBRARY_PATH=" + m.Root + "/libraries "
	if !m.mounted {
		m.libraries = "LD_LIBRARY_PATH=/libraries "
	}
}

func (m *Machine) write(path, text string, mode os.FileMode) {
	m.t.Helper()
	at := filepath.Join(m.Root, path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), mode); err != nil {
		m.t.Fatal(err)
	}
}

// User adds an account: its line of passwd, and of shadow from the second field on ("!:1::::::").
func (m *Machine) User(passwd, shadow string) {
	m.t.Helper()
	name, _, _ := strings.Cut(passwd, ":")
	m.append("passwd", passwd)
	m.append("shadow", name+":"+shadow)
}

func (m *Machine) append(name, line string) {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.Root, "etc", name))
	if err != nil {
		m.t.Fatal(err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = "\n" + line
	}
	m.Etc(name, string(text)+line+"\n")
}

// Program makes a program that runs another there, with the arguments that it is given. The path is absolute.
func (m *Machine) Program(path string) string {
	m.t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		m.t.Fatal(err)
	}
	script := fmt.Sprintf("test ! -d %[1]s/var/lib || more='mount --bind %[1]s/var/lib /var/lib &&'\n"+
		"exec unshare -m sh -c 'mount --bind %[1]s/etc /etc && '\"$more\"' exec env %[3]s\"$0\" \"$@\"' %[2]s \"$@\"\n", m.Root, path, m.libraries)
	if !m.mounted {
		m.copyProgram(real, path)
		script = fmt.Sprintf("exec env %schroot %s %s \"$@\"\n", m.libraries, m.Root, path)
	}
	at := filepath.Join(m.Root, "programs", filepath.Base(path))
	m.write("/programs/"+filepath.Base(path), "#!/bin/sh\n"+script, 0o755)
	return at
}

// Script writes a program that both the real system and the machine find at the path that it gives.
func (m *Machine) Script(name, text string) string {
	m.t.Helper()
	if !m.mounted {
		m.copyProgram("/bin/sh", "/bin/sh")
	}
	at := filepath.Join(m.Root, "scripts", name)
	m.write("/scripts/"+name, text, 0o755)
	if !m.mounted {
		m.write(at, text, 0o755)
	}
	return at
}

// populate puts PAM and the names of users where chroot finds them.
func (m *Machine) populate() {
	m.t.Helper()
	for _, pattern := range []string{"/lib*/*/security/pam_*.so", "/lib*/security/pam_*.so", "/lib*/*/libpam.so.0", "/lib*/libpam.so.0", "/lib*/*/libnss_*.so.2"} {
		found, _ := filepath.Glob(pattern) // the pattern is well-formed
		for _, path := range found {
			m.copyProgram(path, path)
		}
	}
	m.copyProgram("/usr/bin/getent", "/usr/bin/getent")
	m.write("/dev/null", "", 0o666)
	if err := os.MkdirAll(filepath.Join(m.Root, "tmp"), 0o777); err != nil {
		m.t.Fatal(err)
	}
}

// copyProgram copies a file and the libraries that it is linked with.
func (m *Machine) copyProgram(from, to string) {
	m.t.Helper()
	if _, err := os.Stat(filepath.Join(m.Root, to)); err == nil {
		return
	}
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(text), 0o755)
	libraries, _ := exec.Command("ldd", from).Output() // nothing of a static one
	for word := range strings.FieldsSeq(string(libraries)) {
		if strings.HasPrefix(word, "/") {
			m.copyProgram(word, word)
		}
	}
}

func (m *Machine) copyTree(folder string) {
	m.t.Helper()
	if _, err := os.Stat(folder); err != nil {
		return
	}
	if err := os.CopyFS(filepath.Join(m.Root, folder), os.DirFS(folder)); err != nil {
		m.t.Fatal(err)
	}
}
