from crdt import *
