from crdt.codec import *
