#!/usr/bin/env python3
"""Compare what an IMAP/POP3 server shows with a Courier oracle (truth JSON).

usage: courier-check.py --truth T.json --imap 127.0.0.1:143 --pop3 127.0.0.1:110
                        [--user a@b ...] [--json out.json] [-v]
Exit status: 0 nothing lost, 1 losses found, 2 could not run.

Rules (see courier-vpopmail.md for the reasoning):
  * a message whose UID Courier had already promised (known=true) must have the same UID, content,
    flags, keywords (case-insensitive) and INTERNALDATE in the same folder with the same UIDVALIDITY;
  * a message Courier had not numbered yet must be present with UID >= the old UIDNEXT;
  * UIDNEXT never goes down; no message appears twice or without an original;
  * LSUB and the folder list are the same;
  * every POP3 UIDL already promised must come back for the same message; relative order is compared too.
Content is compared on the file's bytes with bare LF turned to CRLF (crlf_sha256), not on Courier's
own rendering, because Courier writes CR CR LF for files that already contain CRLF.
"""
import sys,json,socket,re,base64,hashlib,argparse,datetime
from collections import Counter,defaultdict
class IMAP:
    def __init__(s,hp):
        h,p=hp.rsplit(':',1); s.s=socket.create_connection((h,int(p)),120); s.f=s.s.makefile('rb'); s.n=0; s.f.readline()
    def resp(s):
        parts=[]
        while True:
            l=s.f.readline()
            if not l: raise EOFError('connection closed')
            m=re.search(rb'\{(\d+)\}\r\n$',l)
            if m: parts+= [l[:m.start()],('L',s.f.read(int(m.group(1))))]; continue
            parts.append(l.rstrip(b'\r\n')); return parts
    def cmd(s,c):
        s.n+=1; tag=b'c%d'%s.n; s.s.sendall(tag+b' '+(c if isinstance(c,bytes) else c.encode())+b'\r\n'); un=[]
        while True:
            r=s.resp()
            if r[0].startswith(tag+b' '): return r[0].split(b' ',2)[1],r[0],un
            un.append(r)
def q(b): return b'"'+b.replace(b'\\',b'\\\\').replace(b'"',b'\\"')+b'"'
def mutf7(u):
    out='';buf=''
    for ch in u+'\0':
        if 0x20<=ord(ch)<=0x7e or ch=='\0':
            if buf: out+='&'+base64.b64encode(buf.encode('utf-16-be')).decode().rstrip('=').replace('/',',')+'-'; buf=''
            if ch!='\0': out+='&-' if ch=='&' else ch
        else: buf+=ch
    return out
def tok(parts):
    flat=[]
    for p in parts:
        if isinstance(p,tuple): flat.append(('S',p[1])); continue
        i=0
        while i<len(p):
            c=p[i:i+1]
            if c==b' ': i+=1
            elif c in b'()': flat.append(c.decode()); i+=1
            elif c==b'"':
                j=i+1;o=b''
                while p[j:j+1]!=b'"':
                    if p[j:j+1]==b'\\': j+=1
                    o+=p[j:j+1]; j+=1
                flat.append(('S',o)); i=j+1
            else:
                j=i;br=0
                while j<len(p) and (br or p[j:j+1] not in (b' ',b'(',b')')):
                    br+=(p[j:j+1]==b'[')-(p[j:j+1]==b']'); j+=1
                flat.append(p[i:j]); i=j
    def build(it):
        o=[]
        for t in it:
            if t=='(': o.append(build(it))
            elif t==')': return o
            else: o.append(t)
        return o
    return build(iter(flat))
dec=lambda x:x[1] if isinstance(x,tuple) else x
def crlf(b): return re.sub(rb'(?<!\r)\n',b'\r\n',b)
def main():
    ap=argparse.ArgumentParser(); ap.add_argument('--truth',required=True); ap.add_argument('--imap'); ap.add_argument('--pop3'); ap.add_argument('--user',action='append'); ap.add_argument('--json'); ap.add_argument('-v',action='store_true'); ap.add_argument('--lmtp')
    a=ap.parse_args(); T=json.load(open(a.truth)); total=Counter(); okc=Counter(); per={}; det=[]
    for u,e in T['users'].items():
        if a.user and u not in a.user: continue
        L=Counter(); O=Counter()
        def lose(k,n=1,d=''):
            L[k]+=n
            det.append((u,k,n,d))
            if a.v: print('LOSS %s %s %s'%(u,k,d))
        if a.imap and 'folders' in e['imap']: check_imap(a.imap,u,e,lose,O)
        if a.pop3 and isinstance(e.get('pop3'),list): check_pop(a.pop3,u,e,lose,O)
        per[u]=dict(ok=dict(O),loss=dict(L)); total.update(L); okc.update(O)
        print('%-34s %s'%(u,'perfect' if not L else ' '.join('%s=%d'%x for x in sorted(L.items()))))
    print('TOTAL ok  : '+' '.join('%s=%d'%x for x in sorted(okc.items()))); print('TOTAL loss: '+(' '.join('%s=%d'%x for x in sorted(total.items())) or 'none'))
    if a.json: json.dump(dict(ok=okc,loss=total,users=per,detail=det),open(a.json,'w'),indent=1,ensure_ascii=False)
    return 1 if total else 0
def check_imap(hp,u,e,lose,O):
    c=IMAP(hp); st=c.cmd(b'LOGIN '+q(u.encode())+b' '+q(e['password'].encode()))
    nmsg=sum(len(f.get('messages',[])) for f in e['imap']['folders'])
    if st[0]!=b'OK': lose('imap_login',1,st[1].decode()); lose('msg_missing',nmsg); return
    have={}
    for r in c.cmd('LIST "" "*"')[2]:
        if r[0].startswith(b'* LIST'):
            t=tok(r); have[dec(t[4])]=[x.lower() for x in t[2]]
    subs=set()
    for r in c.cmd('LSUB "" "*"')[2]:
        t=tok(r)
        if b'\\Noselect' not in t[2]: subs.add(dec(t[4]))
    want=set()
    for f in e['imap']['folders']:
        name=f['imap_name'].encode('utf-8'); want.add(name.upper() if name.upper()==b'INBOX' else name)
        if '\\Noselect' in f['attrs']: continue
        if f.get('skip') or f.get('error'): continue
        n=len(f.get('messages',[]))
        s=c.cmd(b'STATUS '+q(name)+b' (UIDVALIDITY UIDNEXT MESSAGES)')
        if s[0]!=b'OK' and f.get('name_valid') is False:
            # the name cannot exist in valid modified UTF-7: any folder with that UIDVALIDITY (and not otherwise expected) will do
            alln=[x['imap_name'].encode() for x in e['imap']['folders']]
            for n2,at2 in have.items():
                if n2 in alln or b'\\noselect' in at2: continue
                s2=c.cmd(b'STATUS '+q(n2)+b' (UIDVALIDITY UIDNEXT MESSAGES)')
                if s2[0]==b'OK' and b'UIDVALIDITY %d'%f['uidvalidity'] in b''.join(x for r in s2[2] for x in r if isinstance(x,bytes)): s=s2; name=n2; want.add(n2); O['folder_renamed']+=1; break
        if s[0]!=b'OK': lose('folder_missing',1,f['imap_name']); lose('msg_missing',n,f['imap_name']); continue
        O['folder']+=1
        kv={}
        for r in s[2]:
            if r[0].startswith(b'* STATUS'):
                t=tok(r); kv=dict(zip([k.decode() for k in t[3][0::2]],[int(v) for v in t[3][1::2]]))
        anyknown=any(m.get('known') for m in f['messages'])
        if f.get('had_uiddb',True) and not f.get('uidvalidity_any'):
            if kv['UIDVALIDITY']!=f['uidvalidity']: lose('uidvalidity',1,'%s %d!=%d'%(f['imap_name'],kv['UIDVALIDITY'],f['uidvalidity']))
            else: O['uidvalidity']+=1
            nb=f.get('uidnext_before',f.get('uidnext',1))
            if kv['UIDNEXT']<nb: lose('uidnext_decreased',1,'%s %d<%d'%(f['imap_name'],kv['UIDNEXT'],nb))
        got={}; byh=defaultdict(list)
        for attempt in range(20):
            try:
                c.cmd(b'SELECT '+q(name)); st,rr,un=c.cmd('FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])'); break
            except (EOFError,OSError):
                lose('server_dropped_connection',1,f['imap_name']); st,rr,un='BAD',b'connection lost',[]
                c=IMAP(hp); c.cmd(b'LOGIN '+q(u.encode())+b' '+q(e['password'].encode()))
        if st!=b'OK' and n: lose('fetch_failed',1,'%s %s'%(f['imap_name'],rr.decode('latin1')))
        for r in un:
            if not re.match(rb'\* \d+ FETCH',r[0]): continue
            t=tok(r); d=t[3]; it=dict(zip([x.decode().upper() for x in d[0::2]],d[1::2]))
            if 'UID' not in it or 'BODY[]' not in it: continue
            b=dec(it['BODY[]']); h=hashlib.sha256(crlf(b)).hexdigest(); uid=int(it['UID'])
            got[uid]=(h,frozenset(x.decode() for x in it['FLAGS'] if x!=b'\\Recent'),int(datetime.datetime.strptime(dec(it['INTERNALDATE']).decode().strip(),'%d-%b-%Y %H:%M:%S %z').timestamp()),int(it['RFC822.SIZE']),len(b)); byh[h].append(uid)
        used=set(); numbers_ok=(not f.get('uidvalidity_any')) and f.get('had_uiddb',True)
        for m in f['messages']:
            h=m.get('crlf_sha256') or m['body_sha256']; hs=[h]+m.get('alt_sha256',[])+([m['body_sha256']] if m.get('body_sha256') else [])
            exp=m['uid'] if (m.get('known') and numbers_ok) else None
            cand=None
            if exp is not None:
                if exp in got and got[exp][0] in hs: cand=exp; O['uid']+=1
                else: lose('uid',1,'%s uid %d file %s'%(f['imap_name'],exp,m.get('file')))
            if cand is None:
                l=[x for hx in hs for x in byh.get(hx,[]) if x not in used]
                if not l and m.get('ambiguous'): continue
                if not l: lose('msg_missing',1,'%s uid %s file %s'%(f['imap_name'],m['uid'],m.get('file'))); continue
                cand=l[0]
                if exp is None and numbers_ok and not m.get('ambiguous') and f.get('uidnext_before') and cand<f['uidnext_before']: lose('new_uid_below_uidnext',1,'%s %d'%(f['imap_name'],cand))
            used.add(cand); O['msg']+=1; g=got[cand]
            sysw={x.lower() for x in m['flags'] if x[0]=='\\'}; sysg={x.lower() for x in g[1] if x[0]=='\\'}
            if sysw!=sysg: lose('flags',1,'%s %s want %s got %s'%(f['imap_name'],m.get('file'),sorted(sysw),sorted(sysg)))
            kw={x.lower() for x in m['flags'] if x[0]!='\\'}; kg={x.lower() for x in g[1] if x[0]!='\\'}
            if kw!=kg: lose('keywords',1,'%s %s want %s got %s'%(f['imap_name'],m.get('file'),sorted(kw),sorted(kg)))
            elif kw: O['keywords']+=1
            if m['internaldate_epoch']!=g[2]: lose('internaldate',1,'%s %s'%(f['imap_name'],m.get('file')))
            if 'crlf_size' in m and g[3] not in (m['crlf_size'],m['size']): lose('rfc822_size',1,'%s %s want %d got %d'%(f['imap_name'],m.get('file'),m['crlf_size'],g[3]))
        extra=[uid for uid in got if uid not in used]
        for uid in extra[f.get('extra_ok',0):]: lose('msg_extra',1,'%s uid %d'%(f['imap_name'],uid))
    for x in have:
        if x.decode('utf-8','replace') in e.get('folder_extra_ok',[]): continue
        if x not in want and x.upper()!=b'INBOX' and b'\\noselect' not in have[x] and b'\\nonexistent' not in have[x]: lose('folder_extra',1,x.decode('utf-8','replace'))
    ws={x['imap_name'].encode() for x in e['imap']['lsub'] if '\\Noselect' not in x['attrs'] and x.get('name_valid',True) and not x.get('foreign')}
    tolerated=sum(1 for x in e['imap']['lsub'] if not x.get('name_valid',True) or x.get('foreign'))
    up=lambda s:{b'INBOX' if x.upper()==b'INBOX' else x for x in s}
    ws,subs=up(ws),up(subs)
    for x in ws-subs: lose('subscription_missing',1,x.decode('utf-8','replace'))
    for x in sorted(subs-ws)[tolerated:]: lose('subscription_extra',1,x.decode('utf-8','replace'))
    O['subscription']+=len(ws&subs)
    c.cmd('LOGOUT')
class POP:
    def __init__(s,hp,u,pw):
        h,p=hp.rsplit(':',1); s.s=socket.create_connection((h,int(p)),120); s.f=s.s.makefile('rb'); s.f.readline()
        s.cmd('USER '+u); s.login=s.cmd('PASS '+pw)[0]
    def cmd(s,c,multi=False):
        s.s.sendall(c.encode()+b'\r\n'); l=s.f.readline()
        if not l: raise EOFError
        if not l.startswith(b'+OK') or not multi: return l,[]
        o=[]
        while True:
            x=s.f.readline()
            if x==b'.\r\n': return l,o
            if not x: raise EOFError
            o.append(x[1:] if x.startswith(b'.') else x)
def check_pop(hp,u,e,lose,O):
    p=POP(hp,u,e['password'])
    if not p.login.startswith(b'+OK'): lose('pop3_login',1,p.login.decode()); lose('uidl',sum(1 for m in e['pop3'] if m.get('known'))); return
    ui={}
    for x in p.cmd('UIDL',True)[1]: a,b=x.split(None,1); ui[b.strip().decode('latin1')]=int(a)
    sz={int(x.split()[0]):int(x.split()[1]) for x in p.cmd('LIST',True)[1]}
    order=[]
    for m in e['pop3']:
        if not m.get('known'): continue
        n=ui.get(m['uidl'])
        if n is None: lose('uidl',1,'%s file %s'%(m['uidl'],m.get('file'))); continue
        try: l,b=p.cmd('TOP %d 1000000'%n,True)  # not RETR, which sets the Seen flag
        except (EOFError,OSError):
            lose('server_dropped_connection',1,'POP3 '+m['uidl']); p=POP(hp,u,e['password'])
            try: l,b=p.cmd('TOP %d 1000000'%n,True)
            except (EOFError,OSError): lose('uidl_wrong_message',1,m['uidl']); p=POP(hp,u,e['password']); continue
        b=b''.join(b); hh=hashlib.sha256(crlf(b)).hexdigest(); w=[m.get('crlf_sha256'),m.get('retr_sha256')]+m.get('alt_sha256',[])
        if hh not in w: lose('uidl_wrong_message',1,m['uidl'])
        else: O['uidl']+=1
        if 'crlf_size' in m and sz.get(n) not in (m['crlf_size'],m['size']): lose('pop3_size',1,'%s want %s got %s'%(m['uidl'],m['crlf_size'],sz.get(n)))
        order.append(n)
    bad=sum(1 for x,y in zip(order,order[1:]) if y<x)
    if bad: lose('pop3_order',bad,'descents')
    if len(sz)!=len(e['pop3']): lose('pop3_count',abs(len(sz)-len(e['pop3'])),'%d want %d'%(len(sz),len(e['pop3'])))
    p.cmd('QUIT')
if __name__=='__main__':
    try: sys.exit(main())
    except (OSError,EOFError) as x: print('cannot run: %r'%x,file=sys.stderr); sys.exit(2)
