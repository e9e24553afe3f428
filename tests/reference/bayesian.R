# Posterior of one stage's regression from rstanarm, an independent program in another language.
#
#   Rscript tests/reference/bayesian.R
#
# writes bayesian/trial.csv, bayesian/rstanarm.csv and bayesian/versions.txt next to this script.
# README.md explains the columns.

suppressPackageStartupMessages({
  library(rstanarm)
  library(posterior)
})
options(stringsAsFactors = FALSE, mc.cores = as.integer(Sys.getenv("CORES", "2")))
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
out_dir <- file.path(if (length(script)) dirname(script) else "tests/reference", "bayesian")
dir.create(out_dir, showWarnings = FALSE, recursive = TRUE)
write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}

# ---------------------------------------------------------------- data: 2 arms, 24 items, 4 answers each

set.seed(20)
items <- sprintf("i%02d", 1:24)
difficulty <- list(own_query = rnorm(24, sd = 1.0), decision = rnorm(24, sd = 0.8))
draw_participant <- function(number, arm) {
  chosen <- sample(24, 4)
  ability <- rnorm(1)
  shift <- if (arm == "a1") 0.3 else -0.3
  query <- rbinom(4, 1, plogis(0.7 + shift + difficulty$own_query[chosen] + 0.9 * ability))
  decided <- rbinom(4, 1, plogis(-0.2 + difficulty$decision[chosen] + 1.2 * (query - 0.5) + 0.6 * ability))
  data.frame(participant = sprintf("p%03d", number), item = items[chosen], arm = arm, own_query = query,
             decision = decided)
}
arms <- rep(c("a1", "a2"), each = 300)
drawn <- do.call(rbind, Map(draw_participant, seq_along(arms), arms))
write_text(c(paste(names(drawn), collapse = ","), do.call(paste, c(drawn, sep = ","))), "trial.csv")

# ---------------------------------------------------------------- fit

trial <- read.csv(file.path(out_dir, "trial.csv"))
trial$contrast <- ifelse(trial$arm == "a1", 1, -1) / sqrt(2)
fit <- stan_glmer(
  own_query ~ contrast + (1 | item) + (1 | participant), data = trial, family = binomial("logit"),
  prior = normal(0, 1, autoscale = FALSE), prior_intercept = normal(0, 2.5, autoscale = FALSE),
  # One variance a group, so decov makes each standard deviation gamma(shape, scale): exponential(1).
  prior_covariance = decov(regularization = 1, concentration = 1, shape = 1, scale = 1),
  chains = 4, iter = 3000, warmup = 1000, seed = 1, refresh = 0, adapt_delta = 0.9)
draws <- as_draws_array(as.array(fit))
get <- function(name) extract_variable_matrix(draws, name)

# ---------------------------------------------------------------- quantities

intercept <- get("(Intercept)")
slope <- get("contrast")
item_sd <- sqrt(get("Sigma[item:(Intercept),(Intercept)]"))
person_sd <- sqrt(get("Sigma[participant:(Intercept),(Intercept)]"))
effects <- lapply(items, function(one) get(sprintf("b[(Intercept) item:%s]", one)))

# Participants, and new items, averaged over an even grid of a standard normal.
grid <- seq(-6, 6, length.out = 61)
mass <- dnorm(grid) / sum(dnorm(grid))
over <- function(eta, sd) Reduce(`+`, Map(function(z, m) m * plogis(eta + sd * z), grid, mass))
these <- function(arm) Reduce(`+`, lapply(effects, function(e) over(intercept + arm * slope + e, person_sd))) / 24
new <- function(arm) over(intercept + arm * slope, sqrt(item_sd^2 + person_sd^2))
half <- 1 / sqrt(2)
quantities <- list(
  population = intercept,
  items_mean = intercept + Reduce(`+`, effects) / 24,
  arm_difference = sqrt(2) * slope,
  item_sd = item_sd,
  participant_sd = person_sd,
  mean_these_items_a1 = these(half), mean_these_items_a2 = these(-half),
  mean_new_items_a1 = new(half), mean_new_items_a2 = new(-half))
rows <- lapply(names(quantities), function(name) {
  x <- quantities[[name]]
  data.frame(quantity = name, mean = mean(x), sd = sd(as.vector(x)), mcse_mean = mcse_mean(x), mcse_sd = mcse_sd(x),
             ess_bulk = ess_bulk(x), rhat = rhat(x), draws = length(x))
})
table <- do.call(rbind, rows)
stopifnot(all(table$rhat < 1.01), all(table$ess_bulk > 1000))
table[-1] <- lapply(table[-1], function(x) sprintf("%.17g", x))
write_text(c(paste(names(table), collapse = ","), do.call(paste, c(table, sep = ","))), "rstanarm.csv")

info <- sessionInfo()
packages <- c(info$otherPkgs, info$loadedOnly)
write_text(c(info$R.version$version.string, paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")),
             unname(sort(vapply(packages, function(x) paste(x$Package, x$Version), "")))), "versions.txt")
