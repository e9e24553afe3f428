# Reference numbers for complier effects: two-stage least squares and Anderson-Rubin sets.
#
#   Rscript tests/reference/instrumental.R
#
# adds who used the system to trials of covariance/ and writes instrumental/<case>_trial.csv, instrumental/expected.csv
# and instrumental/versions.txt next to this script. Estimates come from AER's ivreg, standard errors from clubSandwich
# and sandwich, and the sets from inverting the test of z in lm(y - b d ~ z) over b. The script stops where ivreg differs
# from the ratio of mean differences.

suppressPackageStartupMessages({
  library(AER)
  library(clubSandwich)
  library(sandwich)
})
options(stringsAsFactors = FALSE, warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
here <- if (length(script)) dirname(script) else "tests/reference"
out_dir <- file.path(here, "instrumental")
dir.create(out_dir, showWarnings = FALSE)
same <- function(a, b, tolerance = 1e-10) stopifnot(is.finite(a), is.finite(b), abs(a - b) <= tolerance * max(1, abs(b)))

# Whether a participant of an AI arm used the system; likelier for those with a right decision. A share `wrong` of the
# control participants decides wrongly whatever they did.
add_use <- function(trial, share, seed, wrong = 0) {
  set.seed(seed)
  control <- unique(trial$participant[trial$arm == "control"])
  trial$decision[trial$participant %in% sample(control, wrong * length(control))] <- 0
  people <- unique(trial$participant)
  right <- tapply(trial$decision, trial$participant, mean)[people]
  uses <- setNames(runif(length(people)) < plogis(qlogis(share) + 1.5 * (right - 0.5)), people)
  trial$used <- as.integer(uses[trial$participant])
  trial$used[trial$arm == "control"] <- 0
  # The system cannot be asked by those who do not use it.
  idle <- trial$used == 0
  trial$own_query[idle] <- NA
  trial$conversation[idle] <- NA
  trial
}

# The set of b that the test of z does not reject, from the roots of t(b)^2 - c^2 on a wide grid.
anderson_rubin <- function(y, d, z, cluster, type, critical) {
  excess <- function(b) {
    fit <- lm(u ~ z, data = data.frame(u = y - b * d, z = z))
    V <- as.matrix(vcovCR(fit, cluster = cluster, type = type))
    unname(coef(fit)[["z"]]^2 / V[2, 2] - critical^2)
  }
  grid <- sinh(seq(-8, 8, length.out = 400))
  values <- vapply(grid, excess, 0)
  turns <- which(diff(sign(values)) != 0)
  roots <- vapply(turns, function(k) uniroot(excess, grid[k + 0:1], tol = 1e-14)$root, 0)
  if (length(roots) == 0) return(list(type = "unbounded", lower = NA, upper = NA))
  stopifnot(length(roots) == 2)
  inside <- excess(mean(roots)) < 0
  list(type = if (inside) "bounded" else "exclusive", lower = roots[1], upper = roots[2])
}

reference <- function(case, trial, arm) {
  data <- trial[trial$arm %in% c(arm, "control"), ]
  data$z <- as.numeric(data$arm == arm)
  data$d <- data$used * data$z
  fit <- ivreg(decision ~ d | z, data = data)
  itt <- mean(data$decision[data$z == 1]) - mean(data$decision[data$z == 0])
  share <- mean(data$d[data$z == 1])
  same(coef(fit)[["d"]], itt / share)
  G <- length(unique(data$participant))
  cl <- vcovCL(fit, cluster = data$participant, type = "HC0", cadjust = TRUE)
  reduced <- lm(decision ~ z, data = data)
  treated <- lm(d ~ 1, data = data[data$z == 1, ])
  rows <- lapply(c("CR1", "CR2"), function(type) {
    V <- as.matrix(vcovCR(fit, cluster = data$participant, type = type))
    if (type == "CR1") same(V[2, 2], cl[2, 2])
    df <- if (type == "CR1") G - 1
          else coef_test(reduced, vcov = vcovCR(reduced, cluster = data$participant, type = "CR2"))$df_Satt[2]
    critical <- qt(0.975, df)
    set <- anderson_rubin(data$decision, data$d, data$z, data$participant, type, critical)
    first <- as.matrix(vcovCR(treated, cluster = data$participant[data$z == 1], type = type))[1, 1]
    data.frame(case = case, arm = arm, item_weights = "observed", small_sample = type, estimate = coef(fit)[["d"]],
               std_error = sqrt(V[2, 2]), realized_effect = itt, realized_df = df, first_stage = share,
               f_statistic = share^2 / first, set_type = set$type, set_lower = set$lower, set_upper = set$upper)
  })
  # The same arms with every cell of arm and item standardised to the mix of all AI-arm rows: the estimate alone.
  ai <- trial[trial$arm != "control", ]
  mix <- table(ai$item) / nrow(ai)
  data$w <- as.numeric(mix[data$item]) / ave(data$z, data$arm, data$item, FUN = length)
  weighted <- ivreg(decision ~ d | z, data = data, weights = w)
  top <- weighted.mean(data$decision[data$z == 1], data$w[data$z == 1]) -
    weighted.mean(data$decision[data$z == 0], data$w[data$z == 0])
  bottom <- weighted.mean(data$d[data$z == 1], data$w[data$z == 1])
  same(coef(weighted)[["d"]], top / bottom)
  rbind(do.call(rbind, rows),
        data.frame(case = case, arm = arm, item_weights = "trial", small_sample = "CR2", estimate = coef(weighted)[["d"]],
                   std_error = NA, realized_effect = top, realized_df = NA, first_stage = bottom, f_statistic = NA,
                   set_type = "", set_lower = NA, set_upper = NA))
}

write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}
write_table <- function(data, name, digits = "%.17g") {
  text <- as.data.frame(lapply(data, function(x) {
    if (is.numeric(x)) ifelse(is.na(x), "", sprintf(digits, x)) else ifelse(is.na(x), "", x)
  }))
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(text, sep = ","))), name)
}

specs <- list(strong = list(from = "many", share = 0.7, seed = 201), weak = list(from = "many", share = 0.05, seed = 202),
              lopsided = list(from = "many", share = 0.05, seed = 202, wrong = 0.75),
             small = list(from = "few", share = 0.5, seed = 203), graded = list(from = "fractional", share = 0.6, seed = 204))
expected <- do.call(rbind, lapply(names(specs), function(case) {
  spec <- specs[[case]]
  trial <- add_use(read.csv(file.path(here, "covariance", paste0(spec$from, "_trial.csv"))), spec$share, spec$seed, if (is.null(spec$wrong)) 0 else spec$wrong)
  write_table(trial, paste0(case, "_trial.csv"), "%.15g")
  trial <- read.csv(file.path(out_dir, paste0(case, "_trial.csv")))
  do.call(rbind, lapply(setdiff(sort(unique(trial$arm)), "control"), function(arm) reference(case, trial, arm)))
}))
write_table(expected, "expected.csv")
info <- sessionInfo()
versions <- sort(vapply(c(info$otherPkgs, info$loadedOnly), function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string, paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")), unname(versions)), "versions.txt")
