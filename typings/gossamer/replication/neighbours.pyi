from node.replication.neighbours import *
