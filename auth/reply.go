package auth

import (
	"fmt"
	"strconv"
)

// Code tells why a login failed, where the client is to know.
type Code string

const (
	CodeNone         Code = ""              // wrong password or unknown user
	CodeTempFail     Code = "temp_fail"     // a database does not answer
	CodeUserDisabled Code = "user_disabled" // a passdb with deny=yes, or the database says so
	CodeAuthzFail    Code = "authz_fail"    // the master user is right, but not for that login user
	CodePassExpired  Code = "pass_expired"
	CodeBadBase64    Code = "invalid_base64"
)

// Reply is the end of a login or lookup.
type Reply struct {
	OK     bool
	Code   Code   // of a failure
	Reason string // for the client; "" for the usual text of the protocol

	User         string // as it is after all changes; of a failure, as far as it is known
	OriginalUser string // as the mechanism gave it
	AuthUser     string // the master user, if one has logged in as User

	// Fields are for the caller: nologin, proxy, host, reason and all that are not the service's own. With proxy it
	// has the password in clear ("pass"): not for logs.
	Fields Fields
	Final  []byte // what the mechanism sends along with success
	// Request is as it is after all changes, without the password.
	Request Request

	done *attempt // for Finish
}

// User is whose mail it is.
type User struct {
	Name           string
	UID, GID       uint32
	HasUID, HasGID bool     // false: the configuration has to say (mail_uid, mail_gid)
	Groups         []uint32 // others, from a list of gids and from system_groups_user
	Home           string
	Fields         Fields // all, uid, gid and home among them; what the service does not know overrides a setting
	MasterUser     string // who has logged in as this user
	AuthUser       string // the name as it was sent, or the master user

	valid ids
}

// ids are bounds, first and last.
type ids struct{ firstUID, lastUID, firstGID, lastGID uint32 }

// Allowed tells whether mail may be accessed with the user's ids: never with uid 0, and only within the bounds of the
// options. The text is that of Dovecot 2.3.19 (src/lib-storage/mail-storage-service.c), for both bounds.
func (u *User) Allowed() error {
	const text = "Mail access for users with %s %d not permitted (see first_valid_%s in config file, %s from userdb lookup)."
	v := u.valid
	if u.HasUID && (u.UID == 0 || u.UID < v.firstUID || v.lastUID != 0 && u.UID > v.lastUID) {
		return fmt.Errorf(text, "UID", u.UID, "uid", "uid")
	}
	if u.HasGID && (u.GID < v.firstGID || v.lastGID != 0 && u.GID > v.lastGID) {
		return fmt.Errorf(text, "GID", u.GID, "gid", "gid")
	}
	return nil
}

func idText(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
