from node.replication.duties import *
