from node.replication.rights import *
