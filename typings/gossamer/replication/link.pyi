from node.replication.link import *
