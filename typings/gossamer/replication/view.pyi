from node.replication.view import *
