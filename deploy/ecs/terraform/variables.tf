variable "name" {
  description = "Of everything that is made."
  type        = string
  default     = "pgairlock"
}

variable "image" {
  description = "The image of deploy/ecs/Dockerfile, best by its digest."
  type        = string
}

variable "log_router_image" {
  description = "FireLens' Fluent Bit."
  type        = string
  default     = "public.ecr.aws/aws-observability/aws-for-fluent-bit:stable"
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
}

variable "vpc_id" {
  description = "Of tasks and load balancer."
  type        = string
}

variable "task_subnet_ids" {
  description = "Private subnets, in at least two availability zones, from which the database is reached."
  type        = list(string)
}

variable "load_balancer_subnet_ids" {
  description = "Those of the load balancer, best of its own: trusted_proxies of the configuration are their ranges."
  type        = list(string)
}

variable "client_cidrs" {
  description = "Whose connections the load balancer takes; the configuration's allow says the same."
  type        = list(string)
}

variable "database_security_group_ids" {
  description = "Security groups of the servers and of the inventory's database: port 5432 is opened to them, and in them."
  type        = list(string)
}

variable "config_parameter_arn" {
  description = "SSM parameter with pgairlock.toml, as deploy/ecs/gateway.toml."
  type        = string
}

variable "tls_secret_arn" {
  description = "Secret with the JSON keys crt and key, PEM: what clients are shown."
  type        = string
}

variable "http_token_secret_arn" {
  description = "Secret with the token of /metrics and the dashboard."
  type        = string
}

variable "inventory_password_secret_arn" {
  description = "Secret with the password of the inventory's role."
  type        = string
}

variable "desired_count" {
  description = "Tasks."
  type        = number
  default     = 2
}

variable "cpu" {
  description = "Of a task, in 1/1024."
  type        = number
  default     = 512
}

variable "memory" {
  description = "Of a task, in MiB: 40 KiB for an idle session with TLS, and 128 MiB."
  type        = number
  default     = 1024
}

variable "log_retention_days" {
  description = "How long audit and log are kept: 2 KB a connection."
  type        = number
  default     = 90
}

variable "tags" {
  description = "Of everything that can have some."
  type        = map(string)
  default     = {}
}
