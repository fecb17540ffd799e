from node.replication.healing import *
