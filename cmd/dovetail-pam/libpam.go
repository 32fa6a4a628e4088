package main

import (
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"dovetail/auth/pam/wire"

	"github.com/ebitengine/purego"
)

// Items of Linux-PAM's _pam_types.h that are set or read here.
const (
	itemUser       = 2
	itemTTY        = 3
	itemRemoteHost = 4
	itemRemoteUser = 8
)

const establishCredentials = 2 // PAM_ESTABLISH_CRED

// library is libpam, and what of the C library its conversations need.
type library struct {
	start        func(service, user string, conv *conversation, handle *uintptr) int32
	end          func(handle uintptr, status int32) int32
	setItem      func(handle uintptr, item int32, value string) int32
	getItem      func(handle uintptr, item int32, value *unsafe.Pointer) int32
	authenticate func(handle uintptr, flags int32) int32
	setCred      func(handle uintptr, flags int32) int32
	account      func(handle uintptr, flags int32) int32
	openSession  func(handle uintptr, flags int32) int32
	closeSession func(handle uintptr, flags int32) int32
	strerror     func(handle uintptr, status int32) string

	calloc func(n, size uintptr) unsafe.Pointer
	free   func(unsafe.Pointer)

	answering uintptr // answer, as C calls it
	talk      *talk   // of the login that goes on
}

// load opens the libraries. Their versions are those of the binary interface, which have not changed since 1998.
func load() (*library, error) {
	pam, err := purego.Dlopen("libpam.so.0", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("%w: install PAM (Debian: libpam0g, others: pam)", err)
	}
	l := &library{}
	for name, function := range map[string]any{
		"pam_start": &l.start, "pam_end": &l.end, "pam_set_item": &l.setItem, "pam_get_item": &l.getItem,
		"pam_authenticate": &l.authenticate, "pam_setcred": &l.setCred, "pam_acct_mgmt": &l.account,
		"pam_open_session": &l.openSession, "pam_close_session": &l.closeSession, "pam_strerror": &l.strerror,
		// libpam is linked with the C library, so they are found there as well.
		"calloc": &l.calloc, "free": &l.free,
	} {
		if _, err := purego.Dlsym(pam, name); err != nil {
			return nil, err
		}
		purego.RegisterLibFunc(function, pam, name)
	}
	l.answering = purego.NewCallback(l.answer)
	return l, nil
}

// login asks PAM, in the order of Dovecot 2.3.19's passdb-pam.c.
func (l *library) login(q *wire.Question) *wire.Answer {
	l.talk = &talk{user: q.User, password: q.Password}
	defer func() { l.talk = nil }()
	var handle uintptr
	if status := l.start(q.Service, q.User, &conversation{l.answering, 0}, &handle); status != 0 {
		return l.failed(handle, wire.Start, status, nil)
	}
	for item, value := range map[int32]string{itemRemoteHost: q.RemoteHost, itemRemoteUser: q.RemoteUser, itemTTY: q.Term} {
		if value != "" {
			l.setItem(handle, item, value) // who misses it says so
		}
	}
	a := l.steps(handle, q)
	if status := l.end(handle, int32(a.Status)); status != 0 {
		a = l.failed(0, wire.End, status, a.Words)
	}
	return a
}

func (l *library) steps(handle uintptr, q *wire.Question) *wire.Answer {
	for _, step := range []struct {
		stage wire.Stage
		call  func(uintptr, int32) int32
		flags int32
		skip  bool
	}{
		{stage: wire.Authenticate, call: l.authenticate},
		{stage: wire.SetCred, call: l.setCred, flags: establishCredentials, skip: !q.SetCred},
		{stage: wire.Account, call: l.account},
		{stage: wire.OpenSession, call: l.openSession, skip: !q.Session},
		{stage: wire.CloseSession, call: l.closeSession, skip: !q.Session},
	} {
		if step.skip {
			continue
		}
		if status := step.call(handle, step.flags); status != 0 {
			a := l.failed(handle, step.stage, status, l.talk.words)
			if step.stage == wire.Authenticate {
				a.Missing = missing(q.Service)
			}
			return a
		}
	}
	var user unsafe.Pointer
	if status := l.getItem(handle, itemUser, &user); status != 0 {
		return l.failed(handle, wire.GetItem, status, l.talk.words)
	}
	return &wire.Answer{User: text(user), Words: l.talk.words}
}

func (l *library) failed(handle uintptr, stage wire.Stage, status int32, words []wire.Word) *wire.Answer {
	return &wire.Answer{Stage: stage, Status: wire.Status(status), Text: l.strerror(handle, status), Words: words}
}

// folders are those in which Linux-PAM looks for services; the second is that of distributions which keep /etc for
// their administrators.
var folders = []string{"/etc/pam.d", "/usr/lib/pam.d"}

// missing gives the path of a service's file that is not there, on systems where services are files.
func missing(service string) string {
	if _, err := os.Stat(folders[0]); err != nil {
		return ""
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, filepath.Base(service))); !os.IsNotExist(err) {
			return ""
		}
	}
	return filepath.Join(folders[0], service)
}
