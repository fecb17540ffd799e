from node.maintenance.doctor import *
