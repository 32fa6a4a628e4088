package options

// Users is which system users mail is accessed as.
type Users struct {
	FirstValidGID   uint32   `set:"first_valid_gid"`                // lowest primary gid allowed; default 1
	FirstValidUID   uint32   `set:"first_valid_uid"`                // lowest uid allowed to access mail; default 500
	LastValidGID    uint32   `set:"last_valid_gid" zero:"no limit"` // highest primary gid allowed (0 = no limit)
	LastValidUID    uint32   `set:"last_valid_uid" zero:"no limit"` // highest uid allowed (0 = no limit)
	AccessGroups    []string `set:"mail_access_groups"`             // groups with which folders of mail are made
	PrivilegedGroup string   `set:"mail_privileged_group"`          // another one
	Chroot          Template `set:"mail_chroot" place:"storage"`    // chroot of mail access
	GID             string   `set:"mail_gid"`                       // gid used when the userdb gives none
	Home            Template `set:"mail_home" place:"storage"`      // home directory template when the userdb gives none
	UID             string   `set:"mail_uid"`                       // uid used when the userdb gives none (name or number)
	ValidChrootDirs []string `set:"valid_chroot_dirs"`              // directories under which a userdb may chroot
}
