import gzip,bz2,io
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

