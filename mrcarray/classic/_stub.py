"""TEMPORARY stand-ins until storage/ has them."""
import os, tempfile, gzip, bz2, io
import numpy as np
from mrcarray.errors import *
class Sink:
    def __init__(self, path, exclusive=False):
        self.target=os.path.realpath(path); self.exclusive=exclusive
        d,b=os.path.split(self.target)
        self.fd,self.path=tempfile.mkstemp(prefix="."+b+".",suffix=".mrcarray-tmp",dir=d or ".")
    def allocate(self,n): os.posix_fallocate(self.fd,0,n)
    def append(self,b):
        m=memoryview(b).cast("B")
        while len(m): m=m[os.write(self.fd,m):]
    def write_at(self,start,b): os.pwrite(self.fd,b,start)
    def commit(self):
        os.close(self.fd); self.fd=-1
        if self.exclusive:
            try: os.link(self.path,self.target)
            except FileExistsError: os.unlink(self.path); raise MrcValueError(f"File '{self.target}' already exists; set overwrite=True to overwrite it")
            os.unlink(self.path)
        else: os.replace(self.path,self.target)
    def abort(self):
        if self.fd>=0: os.close(self.fd); self.fd=-1
        if os.path.exists(self.path): os.unlink(self.path)
class Dec:
    def __init__(self, file, name):
        raw=bytes(file.read(0,file.size())); self.name=file.name; self.fingerprint=file.fingerprint
        self.data=gzip.decompress(raw) if name=="gzip" else bz2.decompress(raw)
    def size(self): return len(self.data)
    def read(self,a,b): return memoryview(self.data)[a:b]
    def read_into(self,a,out):
        p=self.data[a:a+len(out)]; out[:len(p)]=np.frombuffer(p,'u1'); return len(p)
def compressed(name, parts):
    if not name: yield from parts; return
    if name=="gzip":
        b=io.BytesIO(); g=gzip.GzipFile(fileobj=b,mode="wb")
        for p in parts: g.write(p)
        g.close(); yield b.getvalue()
    else:
        c=bz2.BZ2Compressor()
        for p in parts: yield c.compress(p)
        yield c.flush()

from mrcarray.storage import codecs as _c
class _Row:
    def __init__(s,n,m): s.name=n; s.magic=m
    def matches(s,f): return f.startswith(s.magic)
    def open(s,file): return Dec(file,s.name)
if not _c.CODECS:
    _c.CODECS.update(gzip=_Row("gzip",b"\x1f\x8b"),bzip2=_Row("bzip2",b"BZh")); _c.PEEK=212
