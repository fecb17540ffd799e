from crdt.tally import *
