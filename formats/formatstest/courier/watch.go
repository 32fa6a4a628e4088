package courier

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
)

// Courier asks Gamin to watch files and waits more than a second for a server of it that does not come (libgamin 0.1.10). One
// that takes the greeting and hangs up is enough: Courier goes on without, as it does after the wait.
//
// The server is found by the name of the abstract socket /tmp/fam-USER-ID. Where it cannot be made, Courier waits.

// watchID is what stands for ID in all names of this process, for the environment variable GAM_CLIENT_ID.
func watchID() string { return fmt.Sprintf("dovetail-test-%d", os.Getpid()) }

var watchers sync.Map // by user id

// watch makes sure that there is a server for a user.
func watch(uid int) {
	start, _ := watchers.LoadOrStore(uid, sync.OnceFunc(func() {
		name := ""
		if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			name = u.Username
		}
		const size = 108 // of the whole name, which ends with zeros
		socket := "@/tmp/fam-" + name + "-" + watchID()
		if len(socket) > size {
			return
		}
		l, err := net.Listen("unix", socket+strings.Repeat("\x00", size-len(socket)))
		if err == nil {
			go hangUp(l)
		}
	}))
	start.(func())()
}

// hangUp reads the one byte that is the greeting, as long as the process lives.
func hangUp(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Read(make([]byte, 1)) // whatever it is
		c.Close()
	}
}
