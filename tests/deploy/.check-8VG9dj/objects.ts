import type { IServiceAccount as T0 } from "kubernetes-models/v1/ServiceAccount";
export const o0: T0 = {
 "apiVersion": "v1",
 "automountServiceAccountToken": false,
 "kind": "ServiceAccount",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 }
};

import type { IConfigMap as T1 } from "kubernetes-models/v1/ConfigMap";
export const o1: T1 = {
 "apiVersion": "v1",
 "data": {
  "global-bundle.pem": "-----BEGIN CERTIFICATE-----\nMIIBbzCCARagAwIBAgIUVNofQvOqlwx4hSVxNrVJ7TDDKakwCgYIKoZIzj0EAwIw\nFjEUMBIGA1UEAwwLVGVzdCBPbGQgQ0EwHhcNMjYxMDMxMTUwMjM1WhcNMzYxMTI3\nMTUwMjM1WjAWMRQwEgYDVQQDDAtUZXN0IE9sZCBDQTBZMBMGByqGSM49AgEGCCqG\nSM49AwEHA0IABLBthTzQQCPn1sCOmY6DDe4WoMa5tejsuv5mK5xj4kZZ2dlBkCQ9\nAhil9CVV8nHQWRPNvQmRmRdbY35710XAwL+jQjBAMA8GA1UdEwEB/wQFMAMBAf8w\nDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBTkPDL/TYx5FBiiz7NnQ2bBVnPv0zAK\nBggqhkjOPQQDAgNHADBEAiBabGPGSnQiPzYLu2U+Hr5g6J86pw92AVBXj3khVKLz\nHAIgOC7gdyG1SPtHWVvI+VkB0am9Xrw+b5sEmNsg/gIbHZ8=\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIBbzCCARagAwIBAgIUUSOa9jv5682eZMTnpdi4ND8exdswCgYIKoZIzj0EAwIw\nFjEUMBIGA1UEAwwLVGVzdCBOZXcgQ0EwHhcNMjYxMDMxMTUwMjM0WhcNMzYxMTI3\nMTUwMjM0WjAWMRQwEgYDVQQDDAtUZXN0IE5ldyBDQTBZMBMGByqGSM49AgEGCCqG\nSM49AwEHA0IABBpReKF/xJCkVoVH0NziUVmuALLfEMXU6OAWmtAGKUDBMKRkwK5w\nhd1UWw6bGtV7PFNMJDPfkoEkyImlcpI4vWijQjBAMA8GA1UdEwEB/wQFMAMBAf8w\nDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBRl+cYpuVckAfOdSTbU0Q932bOyhjAK\nBggqhkjOPQQDAgNHADBEAiBjHCSfA+8ii3dgnnzexA/F3DUmFUF3WcewSdGulzKY\nGQIgLGd/JLh9EjEGjng9+ytrLLPvgKCaOkYoO5kx+ibD6Sw=\n-----END CERTIFICATE-----\n"
 },
 "kind": "ConfigMap",
 "metadata": {
  "name": "pgairlock-ca-54b7mgc29b",
  "namespace": "databases"
 }
};

import type { IConfigMap as T2 } from "kubernetes-models/v1/ConfigMap";
export const o2: T2 = {
 "apiVersion": "v1",
 "data": {
  "pgairlock.toml": "[log]\nformat = \"json\"\n\n[runtime]\nthreads = 2                      # not one for each core of the node\ndrain_timeout = \"300s\"           # below terminationGracePeriodSeconds, less preStop\n\n# Pods of this cluster.\n[[listener]]\nname = \"orders\"\nlisten = [\"0.0.0.0:6432\"]\nallow = [\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\", \"100.64.0.0/10\"]\n\n[listener.tls]\nmode = \"require\"                 # nobody comes in clear over the network\ncert_file = \"/etc/pgairlock-tls/tls.crt\"\nkey_file = \"/etc/pgairlock-tls/tls.key\"\n\n# Whoever comes by the network load balancer.\n[[listener]]\nname = \"orders-nlb\"\nlisten = [\"0.0.0.0:6442\"]\nproxy_protocol = \"require\"\ntrusted_proxies = [\"10.0.0.0/24\", \"10.0.1.0/24\", \"10.0.2.0/24\"]      # its subnets\nallow = [\"10.0.0.0/8\"]                                               # its clients\n\n[listener.tls]\nmode = \"require\"\ncert_file = \"/etc/pgairlock-tls/tls.crt\"\nkey_file = \"/etc/pgairlock-tls/tls.key\"\n\n[upstream.orders]\nhosts = [\"orders.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com:5432\"]\nsslrootcert = [\"/etc/pgairlock-ca/global-bundle.pem\"]\ntcp_user_timeout = \"30s\"\n\n[audit]\nfile = \"-\"                       # standard output, for the cluster's log collector\ninventory = \"postgresql://pgairlock@inventory.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com/inventory?sslrootcert=/etc/pgairlock-ca/global-bundle.pem\"\n\n[admin]\nhttp = \"0.0.0.0:6433\"\nhttp_token_file = \"/etc/pgairlock-http/token\"\n"
 },
 "kind": "ConfigMap",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock-ghftmgcfkg",
  "namespace": "databases"
 }
};

import type { IService as T3 } from "kubernetes-models/v1/Service";
export const o3: T3 = {
 "apiVersion": "v1",
 "kind": "Service",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "ports": [
   {
    "appProtocol": "tcp",
    "name": "postgresql",
    "port": 5432,
    "targetPort": "postgresql"
   }
  ],
  "selector": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  }
 }
};

import type { IService as T4 } from "kubernetes-models/v1/Service";
export const o4: T4 = {
 "apiVersion": "v1",
 "kind": "Service",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock",
   "pgairlock-metrics": "true"
  },
  "name": "pgairlock-http",
  "namespace": "databases"
 },
 "spec": {
  "clusterIP": "None",
  "ports": [
   {
    "name": "http",
    "port": 6433,
    "targetPort": "http"
   }
  ],
  "selector": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  }
 }
};

import type { IService as T5 } from "kubernetes-models/v1/Service";
export const o5: T5 = {
 "apiVersion": "v1",
 "kind": "Service",
 "metadata": {
  "annotations": {
   "service.beta.kubernetes.io/aws-load-balancer-healthcheck-path": "/readyz",
   "service.beta.kubernetes.io/aws-load-balancer-healthcheck-port": "6433",
   "service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol": "http",
   "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
   "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol": "*",
   "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
   "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes": "preserve_client_ip.enabled=false,deregistration_delay.timeout_seconds=300",
   "service.beta.kubernetes.io/aws-load-balancer-type": "external"
  },
  "name": "pgairlock-nlb",
  "namespace": "databases"
 },
 "spec": {
  "loadBalancerClass": "service.k8s.aws/nlb",
  "ports": [
   {
    "name": "postgresql",
    "port": 5432,
    "targetPort": "nlb"
   }
  ],
  "selector": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "type": "LoadBalancer"
 }
};

import type { IDeployment as T6 } from "kubernetes-models/apps/v1/Deployment";
export const o6: T6 = {
 "apiVersion": "apps/v1",
 "kind": "Deployment",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "selector": {
   "matchLabels": {
    "app.kubernetes.io/component": "gateway",
    "app.kubernetes.io/name": "pgairlock"
   }
  },
  "strategy": {
   "rollingUpdate": {
    "maxSurge": 1,
    "maxUnavailable": 0
   }
  },
  "template": {
   "metadata": {
    "annotations": {
     "config.linkerd.io/opaque-ports": "6432"
    },
    "labels": {
     "app.kubernetes.io/component": "gateway",
     "app.kubernetes.io/name": "pgairlock"
    }
   },
   "spec": {
    "automountServiceAccountToken": false,
    "containers": [
     {
      "args": [
       "run",
       "--config",
       "/etc/pgairlock/pgairlock.toml"
      ],
      "env": [
       {
        "name": "PGPASSWORD",
        "valueFrom": {
         "secretKeyRef": {
          "key": "password",
          "name": "pgairlock-inventory",
          "optional": true
         }
        }
       }
      ],
      "image": "registry.example.com/pgairlock:0.1.0",
      "lifecycle": {
       "preStop": {
        "sleep": {
         "seconds": 10
        }
       }
      },
      "livenessProbe": {
       "failureThreshold": 6,
       "httpGet": {
        "path": "/livez",
        "port": "http"
       },
       "periodSeconds": 10,
       "timeoutSeconds": 5
      },
      "name": "pgairlock",
      "ports": [
       {
        "containerPort": 6432,
        "name": "postgresql"
       },
       {
        "containerPort": 6433,
        "name": "http"
       },
       {
        "containerPort": 6442,
        "name": "nlb"
       }
      ],
      "readinessProbe": {
       "httpGet": {
        "path": "/readyz",
        "port": "http"
       },
       "periodSeconds": 5,
       "timeoutSeconds": 5
      },
      "resources": {
       "limits": {
        "memory": "1Gi"
       },
       "requests": {
        "cpu": "250m",
        "memory": "128Mi"
       }
      },
      "securityContext": {
       "allowPrivilegeEscalation": false,
       "capabilities": {
        "drop": [
         "ALL"
        ]
       },
       "readOnlyRootFilesystem": true
      },
      "startupProbe": {
       "failureThreshold": 120,
       "httpGet": {
        "path": "/startupz",
        "port": "http"
       },
       "periodSeconds": 1
      },
      "volumeMounts": [
       {
        "mountPath": "/etc/pgairlock",
        "name": "config",
        "readOnly": true
       },
       {
        "mountPath": "/etc/pgairlock-ca",
        "name": "ca",
        "readOnly": true
       },
       {
        "mountPath": "/etc/pgairlock-tls",
        "name": "tls",
        "readOnly": true
       },
       {
        "mountPath": "/etc/pgairlock-http",
        "name": "http",
        "readOnly": true
       },
       {
        "mountPath": "/var/lib/pgairlock",
        "name": "state"
       }
      ],
      "readinesProbe": {}
     }
    ],
    "securityContext": {
     "fsGroup": 65532,
     "runAsGroup": 65532,
     "runAsNonRoot": true,
     "runAsUser": 65532,
     "seccompProfile": {
      "type": "RuntimeDefault"
     }
    },
    "serviceAccountName": "pgairlock",
    "terminationGracePeriodSeconds": 330,
    "topologySpreadConstraints": [
     {
      "labelSelector": {
       "matchLabels": {
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/name": "pgairlock"
       }
      },
      "matchLabelKeys": [
       "pod-template-hash"
      ],
      "maxSkew": 1,
      "topologyKey": "topology.kubernetes.io/zone",
      "whenUnsatisfiable": "ScheduleAnyway"
     },
     {
      "labelSelector": {
       "matchLabels": {
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/name": "pgairlock"
       }
      },
      "matchLabelKeys": [
       "pod-template-hash"
      ],
      "maxSkew": 1,
      "topologyKey": "kubernetes.io/hostname",
      "whenUnsatisfiable": "ScheduleAnyway"
     }
    ],
    "volumes": [
     {
      "configMap": {
       "name": "pgairlock-ghftmgcfkg"
      },
      "name": "config"
     },
     {
      "configMap": {
       "name": "pgairlock-ca-54b7mgc29b"
      },
      "name": "ca"
     },
     {
      "name": "tls",
      "secret": {
       "defaultMode": 288,
       "secretName": "pgairlock-tls"
      }
     },
     {
      "name": "http",
      "secret": {
       "defaultMode": 288,
       "secretName": "pgairlock-http-token"
      }
     },
     {
      "emptyDir": {
       "sizeLimit": "256Mi"
      },
      "name": "state"
     }
    ]
   }
  }
 }
};

import type { IPodDisruptionBudget as T7 } from "kubernetes-models/policy/v1/PodDisruptionBudget";
export const o7: T7 = {
 "apiVersion": "policy/v1",
 "kind": "PodDisruptionBudget",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "maxUnavailable": 1,
  "selector": {
   "matchLabels": {
    "app.kubernetes.io/component": "gateway",
    "app.kubernetes.io/name": "pgairlock"
   }
  },
  "unhealthyPodEvictionPolicy": "AlwaysAllow"
 }
};

import type { IHorizontalPodAutoscaler as T8 } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
export const o8: T8 = {
 "apiVersion": "autoscaling/v2",
 "kind": "HorizontalPodAutoscaler",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "behavior": {
   "scaleDown": {
    "policies": [
     {
      "periodSeconds": 600,
      "type": "Pods",
      "value": 1
     }
    ],
    "stabilizationWindowSeconds": 1800
   },
   "scaleUp": {
    "stabilizationWindowSeconds": 0
   }
  },
  "maxReplicas": 10,
  "metrics": [
   {
    "pods": {
     "metric": {
      "name": "pgairlock_client_connections"
     },
     "target": {
      "averageValue": "2000",
      "type": "AverageValue"
     }
    },
    "type": "Pods"
   }
  ],
  "minReplicas": 2,
  "scaleTargetRef": {
   "apiVersion": "apps/v1",
   "kind": "Deployment",
   "name": "pgairlock"
  }
 }
};

import type { ICertificate as T9 } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate";
export const o9: T9 = {
 "apiVersion": "cert-manager.io/v1",
 "kind": "Certificate",
 "metadata": {
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "dnsNames": [
   "pgairlock",
   "pgairlock.databases.svc",
   "pgairlock.databases.svc.cluster.local"
  ],
  "duration": "2160h",
  "issuerRef": {
   "kind": "ClusterIssuer",
   "name": "internal-ca"
  },
  "privateKey": {
   "algorithm": "RSA",
   "rotationPolicy": "Always",
   "size": 2048
  },
  "renewBefore": "720h",
  "secretName": "pgairlock-tls",
  "usages": [
   "server auth"
  ]
 }
};

import type { IServiceMonitor as T10 } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";
export const o10: T10 = {
 "apiVersion": "monitoring.coreos.com/v1",
 "kind": "ServiceMonitor",
 "metadata": {
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "endpoints": [
   {
    "authorization": {
     "credentials": {
      "key": "token",
      "name": "pgairlock-http-token"
     }
    },
    "interval": "15s",
    "path": "/metrics",
    "port": "http",
    "relabelings": [
     {
      "replacement": "pgairlock",
      "targetLabel": "job"
     }
    ]
   }
  ],
  "selector": {
   "matchLabels": {
    "pgairlock-metrics": "true"
   }
  }
 }
};

import type { INetworkPolicy as T11 } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
export const o11: T11 = {
 "apiVersion": "networking.k8s.io/v1",
 "kind": "NetworkPolicy",
 "metadata": {
  "labels": {
   "app.kubernetes.io/component": "gateway",
   "app.kubernetes.io/name": "pgairlock"
  },
  "name": "pgairlock",
  "namespace": "databases"
 },
 "spec": {
  "egress": [
   {
    "ports": [
     {
      "port": 53,
      "protocol": "UDP"
     },
     {
      "port": 53,
      "protocol": "TCP"
     }
    ]
   },
   {
    "ports": [
     {
      "port": 5432,
      "protocol": "TCP"
     }
    ]
   }
  ],
  "ingress": [
   {
    "from": [
     {
      "podSelector": {
       "matchLabels": {
        "pgairlock-client": "true"
       }
      }
     },
     {
      "namespaceSelector": {
       "matchLabels": {
        "pgairlock-client": "true"
       }
      },
      "podSelector": {
       "matchLabels": {
        "pgairlock-client": "true"
       }
      }
     }
    ],
    "ports": [
     {
      "port": "postgresql",
      "protocol": "TCP"
     }
    ]
   },
   {
    "from": [
     {
      "namespaceSelector": {
       "matchLabels": {
        "kubernetes.io/metadata.name": "monitoring"
       }
      }
     }
    ],
    "ports": [
     {
      "port": "http",
      "protocol": "TCP"
     }
    ]
   },
   {
    "from": [
     {
      "ipBlock": {
       "cidr": "10.0.0.0/16"
      }
     }
    ],
    "ports": [
     {
      "port": "nlb",
      "protocol": "TCP"
     },
     {
      "port": "http",
      "protocol": "TCP"
     }
    ]
   }
  ],
  "podSelector": {
   "matchLabels": {
    "app.kubernetes.io/component": "gateway",
    "app.kubernetes.io/name": "pgairlock"
   }
  },
  "policyTypes": [
   "Ingress",
   "Egress"
  ]
 }
};
