// Package socket is Dovecot's authentication protocol on sockets, both sides of it: what Postfix, Exim, login processes,
// delivery agents and doveadm speak with an auth service.
//
// Lines end in LF; their words are separated by tabs; a word is KEY or KEY=VALUE, in which NUL, byte 1, tab, CR and LF are
// written as byte 1 and one of 0 1 t r n. Both sides begin with VERSION, tab, major and minor version: 1.2 or 1.1.
//
//	client, login   server: VERSION MECH… SPID CUID COOKIE DONE   client: VERSION CPID
//	                AUTH id MECHANISM key=value… resp=BASE64       -> CONT id BASE64, OK id user=…, FAIL id user=… code=…
//	                CONT id BASE64                                 the answer to CONT
//	                CANCEL id                                      forget it; there is no reply
//	userdb, master  server: VERSION SPID                          client: VERSION
//	                USER id NAME key=value…                        -> USER id NAME uid=…, NOTFOUND id, FAIL id
//	                PASS id NAME key=value…                        -> PASS id user=…, NOTFOUND id, FAIL id
//	                LIST id user=MASK                              -> LIST id NAME…, then DONE id
//	master only     REQUEST id CPID AUTHID COOKIE key=value…       -> as USER: the second half of a login
//	                CACHE-FLUSH id NAME…                           -> OK id COUNT
//
// Rules, as Dovecot 2.3.19.1 has them (src/auth/auth-client-connection.c, auth-request-handler.c,
// auth-master-connection.c; all seen on its sockets):
//   - which kind a socket is follows from its name (KindOf);
//   - a client that breaks the protocol is told nothing: the log has why, and the connection is closed;
//   - a login made on a login socket waits 150 seconds for one REQUEST that names its process, number and cookie; the
//     connection on which it was made must still be there. On a client socket nothing is left of a login once replied to;
//   - a userdb socket of mode 0666 is open to everybody and therefore answers a peer who is neither root nor its owner
//     nor of its group only about the user who has his own uid.
//
// What is our own: an SMTP server that is to hear of a temporary failure hears of it by the end of its connection, as it
// understands nothing else. A connection may have limited numbers of requests open and must shake hands soon, and one
// that does not read its replies is closed; Dovecot waits for all of these.
package socket

import "strings"

// Kind is what may be asked on a socket.
type Kind int

const (
	Client     Kind = iota // SASL; may be given to everybody
	Login                  // SASL, whose logins a master connection finishes
	UserDB                 // lookups of users
	Master                 // lookups, the second half of logins, the cache
	Token                  // SASL with tokens instead of passwords
	TokenLogin             // the same for logins
)

var kindNames = map[string]Kind{
	"login": Login, "userdb": UserDB, "master": Master, "token": Token, "tokenlogin": TokenLogin,
}

// KindOf gives the kind of a socket from its path, or from the name of an inet_listener: what stands behind the last "-"
// of the last part of the path. All other names are Client. Seen with 2.3.19.1; auth_socket_type_get of its main.c.
func KindOf(path string) Kind {
	name := path[strings.LastIndexByte(path, '/')+1:]
	return kindNames[name[strings.LastIndexByte(name, '-')+1:]]
}

// KindNamed gives the kind that 2.4's setting "type" of a listener names; "" and "default" leave it to the path.
func KindNamed(word, path string) Kind {
	switch word {
	case "", "default":
		return KindOf(path)
	case "token-login":
		return TokenLogin
	}
	return kindNames[word]
}

func (k Kind) String() string {
	for name, is := range kindNames {
		if is == k {
			return name
		}
	}
	return "client"
}

// sasl tells whether AUTH is spoken; else it is USER and the like.
func (k Kind) sasl() bool { return k != UserDB && k != Master }

// twoPhase tells whether logins wait for a master connection.
func (k Kind) twoPhase() bool { return k == Login || k == TokenLogin }

// The protocol's limits in 2.3.19.1, in bytes of a line without its end (auth-client-interface.h,
// auth-master-connection.c).
const (
	maxClientLine = 16384
	maxMasterLine = 1024
)
